//! The node: gives jobs, takes every result as a proof (the run checks them), answers as its dialect does.

use std::sync::Arc;

use quinn::crypto::rustls::{HandshakeData, QuicServerConfig};
use quinn::{Connection, Endpoint, EndpointConfig, ServerConfig};
use serde_json::{json, Value};

use crate::options::Options;
use crate::{provider, wire, Failure};

fn configure(options: &Options) -> Result<ServerConfig, Failure> {
    let (leaf, key) = options.own_leaf()?;
    let mut tls = rustls::ServerConfig::builder_with_provider(provider(options.text("groups"))?)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![leaf], key)?;
    tls.alpn_protocols = vec![options.text("alpn").as_bytes().to_vec()];
    tls.max_early_data_size = if options.is_set("early") { u32::MAX } else { 0 };
    Ok(ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?)))
}

fn job(number: u64, difficulty: &str) -> Value {
    json!({"NewJob": {"job_id": number.to_string(), "mining_hash": format!("{number:064x}"),
                      "difficulty": difficulty}})
}

/// One miner: a job for each of its results.
async fn serve(connection: &Connection, options: &Options) -> Result<(), Failure> {
    let (mut send, mut receive) = connection.accept_bi().await?;
    let ready = wire::read(&mut receive).await?;
    wire::say(json!({"event": "ready", "message": ready}));
    if ready["Ready"]["token"].as_str().unwrap_or_default() != options.text("token") {
        connection.close(0u32.into(), b"auth failed");
        return Ok(());
    }
    let difficulty = options.text("difficulty");
    let wanted = options.count("results", 1);
    let mut number = 1;
    wire::write(&mut send, &job(number, difficulty)).await?;
    while number <= wanted {
        let message = wire::read(&mut receive).await?;
        let Some(result) = message.get("JobResult") else {
            continue;
        };
        if result["status"] != "completed" || result["job_id"] != number.to_string() {
            continue;
        }
        wire::say(
            json!({"event": "result", "mining_hash": format!("{number:064x}"), "difficulty": difficulty,
                         "work": result["work"]}),
        );
        if options.is_set("key-update") {
            connection.force_key_update();
            wire::say(json!({"event": "key_update"}));
        }
        if options.text("alpn") == "pqlink-miner/1" {
            let ack = json!({"JobAck": {"job_id": number.to_string(), "nonce": result["nonce"],
                             "verdict": "accepted", "reason": "taken", "height": number}});
            wire::write(&mut send, &ack).await?;
        }
        number += 1;
        options.pause().await;
        wire::write(&mut send, &job(number, difficulty)).await?;
    }
    wire::say(json!({"event": "done", "accepted": wanted}));
    connection.closed().await;
    Ok(())
}

pub async fn run(options: &Options) -> Result<(), Failure> {
    // Who resumes at another server under the same name must not expect it to take a greased bit (RFC 9287).
    let mut settings = EndpointConfig::default();
    settings.grease_quic_bit(!options.is_set("early"));
    let endpoint = Endpoint::new(
        settings,
        Some(configure(options)?),
        std::net::UdpSocket::bind("127.0.0.1:0")?,
        quinn::default_runtime().ok_or("no runtime")?,
    )?;
    wire::say(json!({"event": "listening", "port": endpoint.local_addr()?.port()}));
    while let Some(incoming) = endpoint.accept().await {
        if options.is_set("retry") && !incoming.remote_address_validated() {
            wire::say(json!({"event": "retry"}));
            incoming.retry()?;
            continue;
        }
        // A miner that ends badly comes back, and is served anew.
        let outcome = async {
            let connection = incoming.await?;
            let data = connection
                .handshake_data()
                .and_then(|data| data.downcast::<HandshakeData>().ok());
            let alpn = data.and_then(|data| data.protocol).unwrap_or_default();
            wire::say(json!({"event": "open", "alpn": String::from_utf8_lossy(&alpn)}));
            serve(&connection, options).await
        };
        if let Err(failure) = outcome.await {
            wire::say(json!({"event": "link_failed", "text": failure.to_string()}));
        }
    }
    Ok(())
}
