//! A miner and a node on top of quinn and rustls, for `make interop`.  The QUIC and TLS are theirs; what
//! is here is only the miner protocol.  It prints one JSON object for each thing that happens.

mod client;
mod options;
mod server;
mod wire;

use std::sync::Arc;

use rustls::crypto::{aws_lc_rs, CryptoProvider};

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The provider with one group only, so that a finished handshake tells which group it used, or with those of a policy of
/// ours that rustls has: it has no SecP384r1MLKEM1024.
pub fn provider(groups: &str) -> Result<Arc<CryptoProvider>, Failure> {
    use aws_lc_rs::kx_group::{MLKEM1024, SECP256R1, SECP256R1MLKEM768, SECP384R1, X25519, X25519MLKEM768};
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = match groups {
        "pq" => vec![X25519MLKEM768],
        "classical" => vec![X25519],
        "off" => vec![X25519, SECP256R1, SECP384R1],
        "hybrid" => vec![X25519MLKEM768, X25519],
        "pq-only" => vec![X25519MLKEM768, SECP256R1MLKEM768],
        "cnsa-2.0" => vec![MLKEM1024],
        other => return Err(format!("no such --groups: {other}").into()),
    };
    Ok(Arc::new(provider))
}

#[tokio::main]
async fn main() {
    let options = options::Options::from_arguments();
    let work = async {
        match options.role.as_str() {
            "client" => client::run(&options).await,
            "server" => server::run(&options).await,
            _ => Err("usage: peer-quinn client|server --OPTION VALUE...".into()),
        }
    };
    let outcome = match tokio::time::timeout(options.timeout, work).await {
        Ok(outcome) => outcome,
        Err(_) => Err("the time is over".into()),
    };
    if let Err(failure) = outcome {
        wire::say(serde_json::json!({"event": "failed", "text": failure.to_string()}));
        std::process::exit(1);
    }
}
