//! `ROLE --name value ...`; a flag has the value `yes`.

use std::collections::HashMap;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};

pub struct Options {
    pub role: String,
    pub timeout: Duration,
    values: HashMap<String, String>,
}

impl Options {
    pub fn from_arguments() -> Options {
        let mut arguments = std::env::args().skip(1);
        let role = arguments.next().unwrap_or_default();
        let mut values = HashMap::new();
        while let (Some(name), Some(value)) = (arguments.next(), arguments.next()) {
            values.insert(name.trim_start_matches('-').to_string(), value);
        }
        let timeout = values.get("timeout").and_then(|text| text.parse().ok()).unwrap_or(30);
        Options {
            role,
            timeout: Duration::from_secs(timeout),
            values,
        }
    }

    pub fn text(&self, name: &str) -> &str {
        self.values.get(name).map(String::as_str).unwrap_or("")
    }

    pub fn is_set(&self, name: &str) -> bool {
        self.text(name) == "yes"
    }

    /// So that a session lasts until the event of its case.
    pub async fn pause(&self) {
        tokio::time::sleep(Duration::from_millis(self.count("pause-ms", 0))).await;
    }

    /// The certificate and key that this side shows.
    pub fn own_leaf(&self) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), crate::Failure> {
        let leaf = CertificateDer::from(std::fs::read(self.text("cert"))?);
        Ok((leaf, PrivateKeyDer::try_from(std::fs::read(self.text("key"))?)?))
    }

    pub fn count(&self, name: &str, otherwise: u64) -> u64 {
        self.values
            .get(name)
            .and_then(|text| text.parse().ok())
            .unwrap_or(otherwise)
    }
}
