//! `?wait=active` and `?wait=refused`: an answer that comes when every live edge has acknowledged.

use super::model::Credential;
use super::store;
use crate::context::Context;
use crate::edges::boots;
use crate::web::Failure;

/// Between two looks.
const STEP_MS: u64 = 50;
/// The longest wait of the API: 10 s. What has not happened then is answered as it stands.
pub const STEPS_OF_API: u32 = 200;
/// The longest wait of a page: 2 s.
pub const STEPS_OF_PAGE: u32 = 40;

/// What a request waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    /// Every live edge accepts the key.
    Active,
    /// Every live edge refuses the key.
    Refused,
}

impl Awaited {
    /// Reads `wait`; this operation can wait for `possible`.
    pub fn read(context: &Context, possible: Self) -> Result<Option<Self>, Failure> {
        let name = match possible {
            Self::Active => "active",
            Self::Refused => "refused",
        };
        match context.query("wait") {
            None => Ok(None),
            Some(wanted) if wanted == name => Ok(Some(possible)),
            Some(_) => Err(Failure::field(
                "wait",
                "unknown_value",
                format!("Give `{name}`, or leave it out."),
            )),
        }
    }

    fn has_come(self, credential: &Credential) -> bool {
        match self {
            Self::Active => {
                credential.activated_at_ms.is_some() || credential.revoked_at_ms.is_some()
            }
            Self::Refused => credential.refused_at_ms.is_some(),
        }
    }
}

/// The credential once it is so, or as it stands after so many looks. Without a live edge there is
/// nobody to wait for.
pub async fn wait_for(
    context: &Context,
    mut credential: Credential,
    awaited: Awaited,
    steps: u32,
) -> Result<Credential, Failure> {
    let connection = &context.connection;
    for _ in 0..steps {
        let now_ms = context.app.clock.now_ms();
        if awaited.has_come(&credential) || boots::liveness(connection, now_ms).await?.edges == 0 {
            break;
        }
        connection.pause(STEP_MS).await?;
        credential = store::find(connection, credential.app_id, credential.id)
            .await?
            .ok_or_else(Failure::not_found)?;
    }
    Ok(credential)
}
