//! Frames of the miner protocol: four bytes of length, then JSON.

use serde_json::{json, Value};

use crate::Failure;

const FRAME_MAX: usize = 1024;

pub fn say(event: Value) {
    println!("{event}");
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub async fn write(stream: &mut quinn::SendStream, message: &Value) -> Result<(), Failure> {
    let body = message.to_string();
    let mut frame = (body.len() as u32).to_be_bytes().to_vec();
    frame.extend_from_slice(body.as_bytes());
    stream.write_all(&frame).await?;
    Ok(())
}

pub async fn read(stream: &mut quinn::RecvStream) -> Result<Value, Failure> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await?;
    let length = u32::from_be_bytes(length) as usize;
    if length == 0 || length > FRAME_MAX {
        return Err(format!("a frame of {length} bytes").into());
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(serde_json::from_slice(&body)?)
}

/// What a miner says first; the first generation of the protocol had a bare string.
pub fn ready(alpn: &str, token: &str) -> Value {
    match (alpn, token) {
        ("quantus-miner", _) => json!("Ready"),
        (_, "") => json!({"Ready": {}}),
        (_, token) => json!({"Ready": {"token": token}}),
    }
}

/// A result with the given number as nonce; at difficulty 1 nearly every number is a proof.
pub fn result(job_id: &str, nonce: u64) -> Value {
    json!({"JobResult": {
        "status": "completed", "job_id": job_id, "nonce": format!("{nonce:x}"),
        "work": format!("{nonce:0128x}"), "hash_count": 1, "elapsed_time": 0.25
    }})
}
