//! load-quinn CERTIFICATE.der KEY.der ALPN: finishes handshakes on a port of 127.0.0.1, which it prints,
//! and waits until the peers close.  One thread, so that it uses one core as the others do.

use std::sync::Arc;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Endpoint, ServerConfig};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn configure(certificate: &str, key: &str, alpn: &str) -> Result<ServerConfig, Failure> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519MLKEM768];
    let leaf = CertificateDer::from(std::fs::read(certificate)?);
    let key = PrivateKeyDer::try_from(std::fs::read(key)?)?;
    let mut tls = rustls::ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![leaf], key)?;
    tls.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    tls.send_tls13_tickets = 0;
    Ok(ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?)))
}

async fn serve(config: ServerConfig) -> Result<(), Failure> {
    let endpoint = Endpoint::server(config, "127.0.0.1:0".parse()?)?;
    println!("port {}", endpoint.local_addr()?.port());
    while let Some(incoming) = endpoint.accept().await {
        tokio::spawn(async move {
            if let Ok(connection) = incoming.await {
                connection.closed().await;
            }
        });
    }
    Ok(())
}

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().collect();
    let [_, certificate, key, alpn] = words.as_slice() else {
        return Err("usage: load-quinn CERTIFICATE.der KEY.der ALPN".into());
    };
    let config = configure(certificate, key, alpn)?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve(config))
}
