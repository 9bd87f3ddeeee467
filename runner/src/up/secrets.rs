//! The programme's secrets: made once, kept for this user only.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::data_folder::DataFolder;
use super::ports::Ports;

const FILE: &str = "secrets.json";

/// Secrets in text form, 64 hexadecimal digits each.
pub struct Secrets {
    pub edge_secret: String,
    pub key_pepper: String,
    pub tick_secret: String,
    pub signing_seed: String,
}

impl Secrets {
    /// Reads `secrets.json`, or makes it with fresh secrets.
    pub fn read_or_create(data: &DataFolder) -> Result<Self> {
        if let Some(kept) = data.read_json(FILE)? {
            return Self::from_json(&kept);
        }
        let made = json!({
            "edge_secret": random_hex()?,
            "key_pepper": random_hex()?,
            "tick_secret": random_hex()?,
            "signing_seed": random_hex()?,
        });
        data.write_json(FILE, &made, true)?;
        Self::from_json(&made)
    }

    fn from_json(json: &Value) -> Result<Self> {
        let text = |name: &str| {
            json[name].as_str().map(str::to_owned).with_context(|| {
                format!("{FILE} has no `{name}`: add it, or start over with --fresh")
            })
        };
        Ok(Self {
            edge_secret: text("edge_secret")?,
            key_pepper: text("key_pepper")?,
            tick_secret: text("tick_secret")?,
            signing_seed: text("signing_seed")?,
        })
    }

    /// The portal's Spin variables, as environment of its process: a command
    /// line would show them to every user of the machine.
    pub fn portal_variables(&self, ports: Ports) -> Vec<(String, String)> {
        [
            ("public_url", format!("http://127.0.0.1:{}", ports.portal)),
            ("gateway_url", format!("http://127.0.0.1:{}", ports.gateway)),
            ("environment", "development".to_owned()),
            ("development_host", "http://127.0.0.1:*".to_owned()),
            ("database", "sqlite".to_owned()),
            ("edge_secret", self.edge_secret.clone()),
            ("key_pepper", self.key_pepper.clone()),
            ("tick_secret", self.tick_secret.clone()),
            ("signing_seed", self.signing_seed.clone()),
        ]
        .into_iter()
        .map(|(name, value)| (format!("SPIN_VARIABLE_{}", name.to_uppercase()), value))
        .collect()
    }
}

fn random_hex() -> Result<String> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn secrets_are_made_once_and_readable_by_this_user_only() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataFolder::open(folder.path(), false).unwrap();
        let first = Secrets::read_or_create(&data).unwrap();
        let again = Secrets::read_or_create(&data).unwrap();
        assert_eq!(first.key_pepper, again.key_pepper);
        assert_ne!(first.key_pepper, first.edge_secret);
        let mode = data.file(FILE).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
