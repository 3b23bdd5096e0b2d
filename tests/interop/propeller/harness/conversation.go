package harness

import (
	"encoding/binary"
	"io"
	"path"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// conversation is one HTTP/2 connection, read from both sides.
type conversation struct {
	mutex   sync.Mutex
	streams map[uint32]*stream
	ended   func(Call)
}

type stream struct {
	call             Call
	request, answer  []byte
	started          time.Time
	asked, responded bool
}

func newConversation(ended func(Call)) *conversation {
	return &conversation{streams: map[uint32]*stream{}, ended: ended}
}

func (c *conversation) readRequests(bytes io.Reader) {
	if _, err := io.CopyN(io.Discard, bytes, int64(len(http2.ClientPreface))); err != nil {
		return
	}
	c.read(bytes, c.request)
}

func (c *conversation) readAnswers(bytes io.Reader) { c.read(bytes, c.answer) }

func (c *conversation) read(bytes io.Reader, take func(*stream, http2.Frame)) {
	framer := http2.NewFramer(io.Discard, bytes)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return
		}
		if id := frame.Header().StreamID; id != 0 {
			c.taken(id, frame, take)
		}
	}
}

// taken adds a frame to its stream, and reports the call when both sides have ended it.
func (c *conversation) taken(id uint32, frame http2.Frame, take func(*stream, http2.Frame)) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.streams[id] == nil {
		c.streams[id] = &stream{started: time.Now()}
	}
	s := c.streams[id]
	take(s, frame)
	if s.asked && s.responded && s.call.Method != "" {
		s.call.Started, s.call.Took = s.started, time.Since(s.started)
		s.call.Request, s.call.Answer = message(s.request), message(s.answer)
		c.ended(s.call)
		// Frames that arrive after the end must not start the call again.
		s.call.Method = ""
	}
}

func (c *conversation) request(s *stream, frame http2.Frame) {
	switch frame := frame.(type) {
	case *http2.MetaHeadersFrame:
		s.call.Header = fields(frame)
		s.call.Method = s.call.Header[":path"]
		s.asked = s.asked || frame.StreamEnded()
	case *http2.DataFrame:
		s.request = append(s.request, frame.Data()...)
		s.asked = s.asked || frame.StreamEnded()
	case *http2.RSTStreamFrame:
		s.asked, s.responded = true, true
	}
}

func (c *conversation) answer(s *stream, frame http2.Frame) {
	switch frame := frame.(type) {
	case *http2.MetaHeadersFrame:
		if status, ended := fields(frame)["grpc-status"]; ended {
			s.call.Status = status
		}
		s.responded = s.responded || frame.StreamEnded()
	case *http2.DataFrame:
		s.answer = append(s.answer, frame.Data()...)
		s.responded = s.responded || frame.StreamEnded()
	case *http2.RSTStreamFrame:
		s.asked, s.responded = true, true
	}
}

func fields(frame *http2.MetaHeadersFrame) map[string]string {
	all := map[string]string{}
	for _, field := range frame.Fields {
		all[field.Name] = field.Value
	}
	return all
}

// message is the first of a stream, without the five bytes that gRPC puts before it.
func message(data []byte) []byte {
	if len(data) < 5 {
		return nil
	}
	length := int(binary.BigEndian.Uint32(data[1:5]))
	return data[5:min(5+length, len(data))]
}

// name is the method without its service.
func (c Call) name() string { return path.Base(c.Method) }
