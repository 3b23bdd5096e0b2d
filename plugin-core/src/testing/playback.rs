//! A vendor to try a service against by hand: it plays what `recorded.json` has.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Router, body::Body, extract::State, response::Response};
use http::{Method, StatusCode, Uri};
use tokio::net::TcpListener;

use super::{
    recorded::{Recorded, SyncRecorded},
    upstream::Answer,
};

/// How many polls of a job find it running.
const POLLS_RUNNING: u32 = 2;

/// Answers on `address` like the vendor of `recorded.json`, until the program is stopped.
///
/// Submits are answered with `created` and then with `repeated`, two polls of a job with `running` and
/// all later ones with `succeeded`, and every DELETE with `cancelled`. Prints what it is asked.
///
/// # Errors
/// `address` cannot be listened on.
///
/// # Panics
/// When `recorded` is no `recorded.json`.
pub fn play(recorded: &str, address: &str) -> io::Result<()> {
    serve(Player::Jobs(Box::new(Recorded::parse(recorded))), address)
}

/// Answers every call on `address` as `succeeded` of a sync plugin's `recorded.json`, until the program
/// is stopped. Prints what it is asked.
///
/// # Errors
/// `address` cannot be listened on.
///
/// # Panics
/// When `recorded` is no `recorded.json`.
pub fn play_sync(recorded: &str, address: &str) -> io::Result<()> {
    serve(Player::Calls(SyncRecorded::parse(recorded).succeeded), address)
}

enum Player {
    Jobs(Box<Recorded>),
    Calls(Answer),
}

#[derive(Clone)]
struct Playback {
    player: Arc<Player>,
    /// How often each job was submitted, and polled since.
    seen: Arc<Mutex<BTreeMap<(Method, String), u32>>>,
}

fn serve(player: Player, address: &str) -> io::Result<()> {
    let playback = Playback { player: Arc::new(player), seen: Arc::default() };
    let router = Router::new().fallback(answer).with_state(playback);
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind(address).await?;
        println!("the vendor listens on http://{}", listener.local_addr()?);
        axum::serve(listener, router).await
    })
}

async fn answer(State(playback): State<Playback>, method: Method, uri: Uri) -> Response {
    let answer = playback.next(&method, uri.path());
    println!("{method} {uri} -> {}", answer.status);
    let mut response = Response::new(Body::from(answer.body.to_string()));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or_default();
    response
}

impl Playback {
    fn next(&self, method: &Method, path: &str) -> Answer {
        let recorded = match &*self.player {
            Player::Jobs(recorded) => recorded,
            Player::Calls(answer) => return answer.clone(),
        };
        let times = self.count(method, path);
        let answer = match *method {
            Method::GET if times > POLLS_RUNNING => &recorded.succeeded,
            Method::GET => &recorded.running,
            Method::DELETE => &recorded.cancelled,
            _ if times > 1 => &recorded.repeated,
            _ => &recorded.created,
        };
        answer.clone()
    }

    /// How often it was asked for this, now included.
    fn count(&self, method: &Method, path: &str) -> u32 {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let times = seen.entry((method.clone(), path.to_owned())).or_default();
        *times += 1;
        *times
    }
}
