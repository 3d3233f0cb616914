//! The miner: as many links as asked for, one after the other or at once, each with some results.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::{HandshakeData, QuicClientConfig};
use quinn::{ClientConfig, Connection, Endpoint, TransportConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls13_signature, CryptoProvider};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use serde_json::{json, Value};
use sha2::{Digest, Sha256};

use crate::options::Options;
use crate::{provider, wire, Failure};

/// How long a stream that the node does not grant is waited for.
const SECOND_STREAM_TIME: Duration = Duration::from_millis(500);
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// Trusts the certificates with the pins, a comma between them; the signature is checked by rustls.
#[derive(Debug)]
struct Pinned {
    pin: String,
    provider: Arc<CryptoProvider>,
    asked: AtomicBool,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.asked.store(true, Ordering::SeqCst);
        let shown = wire::hex(&Sha256::digest(leaf));
        if self.pin.split(',').any(|pin| pin == shown) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::InvalidCertificate(
                CertificateError::ApplicationVerificationFailure,
            ))
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("QUIC has no TLS 1.2".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            leaf,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn configure(options: &Options, verifier: Arc<Pinned>) -> Result<ClientConfig, Failure> {
    let tls = rustls::ClientConfig::builder_with_provider(provider(options.text("groups"))?)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut tls = match options.text("cert") {
        "" => tls.with_no_client_auth(),
        _ => {
            let (leaf, key) = options.own_leaf()?;
            tls.with_client_auth_cert(vec![leaf], key)?
        }
    };
    tls.alpn_protocols = vec![options.text("alpn").as_bytes().to_vec()];
    tls.enable_early_data = options.is_set("early");
    let mut transport = TransportConfig::default();
    transport.keep_alive_interval(Some(KEEP_ALIVE));
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    config.transport_config(Arc::new(transport));
    Ok(config)
}

/// Connects; says whether early data was possible and what became of it.
async fn connect(endpoint: &Endpoint, options: &Options, to: &str) -> Result<(Connection, &'static str), Failure> {
    let node: SocketAddr = options.text(to).parse()?;
    let connecting = endpoint.connect(node, "localhost")?;
    if !options.is_set("early") {
        return Ok((connecting.await?, "not tried"));
    }
    match connecting.into_0rtt() {
        Err(connecting) => Ok((connecting.await?, "not offered")),
        Ok((connection, accepted)) => {
            if options.is_set("early-write") && to == "connect" {
                let (mut send, _) = connection.open_bi().await?;
                send.write_all(b"early").await?;
            }
            let accepted = accepted.await;
            Ok((connection, if accepted { "accepted" } else { "refused" }))
        }
    }
}

/// What a miner does until enough results are accepted.
async fn mine(connection: &Connection, endpoint: &Endpoint, options: &Options, seed: u64) -> Result<u64, Failure> {
    let alpn = options.text("alpn");
    let wanted = options.count("results", 1);
    let (mut send, mut receive) = connection.open_bi().await?;
    wire::write(&mut send, &wire::ready(alpn, options.text("token"))).await?;
    if options.is_set("second-stream") {
        let more = tokio::time::timeout(SECOND_STREAM_TIME, connection.open_bi()).await;
        wire::say(json!({"event": "second_stream", "granted": more.is_ok()}));
    }
    let (mut accepted, mut nonce, mut job, mut waiting) = (0, seed, String::new(), false);
    while accepted < wanted {
        let message = wire::read(&mut receive).await?;
        if let Some(ack) = message.get("JobAck") {
            let good = ack["verdict"] == "accepted" || options.is_set("any-verdict");
            accepted += u64::from(good);
            waiting = good;
            if !good {
                wire::say(json!({"event": "ack", "verdict": ack["verdict"], "reason": ack["reason"]}));
            }
        } else if let Some(next) = message.get("NewJob") {
            let id = next["job_id"].as_str().unwrap_or_default().to_string();
            // Without acknowledgements another job is all that a miner ever learns.
            accepted += u64::from(alpn != "pqlink-miner/1" && waiting && id != job);
            job = id;
            waiting = false;
        }
        if waiting || job.is_empty() || accepted >= wanted {
            continue;
        }
        disturb(connection, endpoint, options, accepted)?;
        options.pause().await;
        nonce += 1;
        wire::write(&mut send, &wire::result(&job, nonce)).await?;
        waiting = true;
    }
    Ok(accepted)
}

/// The events of a case, after the first accepted result.
fn disturb(connection: &Connection, endpoint: &Endpoint, options: &Options, accepted: u64) -> Result<(), Failure> {
    if accepted == 0 {
        return Ok(());
    }
    if options.is_set("key-update") {
        connection.force_key_update();
        wire::say(json!({"event": "key_update"}));
    }
    if options.is_set("migrate") && accepted == 1 {
        let from = endpoint.local_addr()?;
        endpoint.rebind(std::net::UdpSocket::bind("127.0.0.1:0")?)?;
        wire::say(json!({"event": "moved", "from": from.port(), "to": endpoint.local_addr()?.port()}));
    }
    Ok(())
}

fn leaf_of(connection: &Connection) -> Option<String> {
    let chain = connection
        .peer_identity()?
        .downcast::<Vec<CertificateDer<'static>>>()
        .ok()?;
    Some(wire::hex(&Sha256::digest(chain.first()?)))
}

fn opened(connection: &Connection, early: &str, resumed: bool) -> Value {
    let data = connection
        .handshake_data()
        .and_then(|data| data.downcast::<HandshakeData>().ok());
    let alpn = data.and_then(|data| data.protocol).unwrap_or_default();
    json!({"event": "open", "alpn": String::from_utf8_lossy(&alpn), "leaf": leaf_of(connection),
           "resumed": resumed, "early": early})
}

/// One link from the first packet to the close, to the node that the option |to| names.
async fn session(
    endpoint: &Endpoint,
    options: &Options,
    verifier: &Pinned,
    to: &str,
    seed: u64,
) -> Result<u64, Failure> {
    verifier.asked.store(false, Ordering::SeqCst);
    let (connection, early) = connect(endpoint, options, to).await?;
    wire::say(opened(&connection, early, !verifier.asked.load(Ordering::SeqCst)));
    let accepted = mine(&connection, endpoint, options, seed).await;
    let path = connection.stats().path;
    wire::say(
        json!({"event": "path", "rtt_ms": path.rtt.as_millis() as u64, "lost": path.lost_packets,
                     "congestion_events": path.congestion_events}),
    );
    if let Some(quinn::ConnectionError::ApplicationClosed(close)) = connection.close_reason() {
        wire::say(json!({"event": "closed", "code": close.error_code.into_inner(),
                         "reason": String::from_utf8_lossy(&close.reason)}));
    }
    connection.close(0u32.into(), b"");
    accepted
}

pub async fn run(options: &Options) -> Result<(), Failure> {
    let verifier = Arc::new(Pinned {
        pin: options.text("pin").to_string(),
        provider: provider(options.text("groups"))?,
        asked: AtomicBool::new(false),
    });
    let mut endpoint = Endpoint::client("127.0.0.1:0".parse()?)?;
    endpoint.set_default_client_config(configure(options, verifier.clone())?);
    let mut accepted = 0;
    if !options.text("first").is_empty() {
        // Somebody else, whose tickets are then shown to the node.
        accepted += session(&endpoint, options, &verifier, "first", 1_000_000).await?;
    }
    for number in 0..options.count("sessions", 1) {
        accepted += session(&endpoint, options, &verifier, "connect", number * 1000).await?;
    }
    let links = options.count("links", 0);
    // All from one socket and, on one task, side by side.
    let mut at_once = Vec::new();
    for number in 0..links {
        let (endpoint, verifier) = (&endpoint, &verifier);
        at_once.push(Box::pin(session(
            endpoint,
            options,
            verifier,
            "connect",
            (number + 1) * 100_000,
        )));
    }
    for outcome in join_all(at_once).await {
        accepted += outcome?;
    }
    endpoint.wait_idle().await;
    wire::say(json!({"event": "done", "accepted": accepted}));
    Ok(())
}

/// Polls all of them until each is done.
async fn join_all<F: std::future::Future + Unpin>(mut all: Vec<F>) -> Vec<F::Output> {
    let mut outcomes = Vec::new();
    std::future::poll_fn(move |context| {
        let mut still = Vec::new();
        for mut one in all.drain(..) {
            match std::pin::Pin::new(&mut one).poll(context) {
                std::task::Poll::Ready(outcome) => outcomes.push(outcome),
                std::task::Poll::Pending => still.push(one),
            }
        }
        all = still;
        if all.is_empty() {
            std::task::Poll::Ready(std::mem::take(&mut outcomes))
        } else {
            std::task::Poll::Pending
        }
    })
    .await
}
