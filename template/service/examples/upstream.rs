//! A vendor that answers what tests/recorded.json says, to try the service against.

fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9000".to_owned());
    println!("the vendor listens on http://{address}");
{% if mode == "async" -%}
    plugin_core::testing::play(include_str!("../tests/recorded.json"), &address)
{% else -%}
    plugin_core::testing::play_sync(include_str!("../tests/recorded.json"), &address)
{% endif -%}
}
