//! A vendor that plays tests/recorded.json, to try the service against.

fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9000".to_owned());
    plugin_core::testing::play(include_str!("../tests/recorded.json"), &address)
}
