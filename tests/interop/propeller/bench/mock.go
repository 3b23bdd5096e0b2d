package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"
)

// connectTo makes the mock stand for BigQuery and for the metadata server. The plugin's configuration has no endpoint outside of its
// own tests, so it calls https://bigquery.googleapis.com; but each of its clients copies Go's default transport, which from now on
// connects such calls to the mock, without TLS.
func connectTo(endpoint string) error {
	mock, err := url.Parse(endpoint)
	if err != nil || mock.Scheme != "http" || mock.Host == "" {
		return fmt.Errorf("%q is no address of a mock: http://HOST:PORT", endpoint)
	}
	transport := http.DefaultTransport.(*http.Transport)
	dial := transport.DialContext
	transport.DialTLSContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dial(ctx, network, mock.Host)
	}
	// The plugin makes a client, and so a connection, for each call, and leaves it. Ours are closed sooner than after 90 seconds.
	transport.IdleConnTimeout = 100 * time.Millisecond
	return os.Setenv("GCE_METADATA_HOST", mock.Host)
}
