//! Throttling of attempts: at most so many per window and subject, counted in the database so that all
//! instances count together.

use super::Failure;
use crate::context::Context;
use crate::params;

/// A limit on attempts.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// What is counted (`log_in_by_address`).
    pub name: &'static str,
    /// How many in a window.
    pub attempts: i64,
    /// The window.
    pub window_ms: i64,
}

/// Counts an attempt; refuses it with 429 if the window is full.
pub async fn count_attempt(context: &Context, limit: Limit, subject: &str) -> Result<(), Failure> {
    let window = context.now_ms - context.now_ms.rem_euclid(limit.window_ms);
    let attempts: i64 = context
        .connection
        .query_one(
            "INSERT INTO attempts (name, subject, window_start, count) VALUES ($1, $2, $3, 1)
             ON CONFLICT (name, subject) DO UPDATE SET
                count = CASE WHEN attempts.window_start = excluded.window_start
                    THEN attempts.count + 1 ELSE 1 END,
                window_start = excluded.window_start
             RETURNING count",
            params![limit.name, subject, window],
        )
        .await?
        .get(0)?;
    if attempts > limit.attempts {
        let wait_ms = window + limit.window_ms - context.now_ms;
        return Err(Failure::too_many(wait_ms / 1000 + 1));
    }
    Ok(())
}

/// Forgets a subject's attempts, after a success.
pub async fn forget_attempts(
    context: &Context,
    limit: Limit,
    subject: &str,
) -> Result<(), Failure> {
    context
        .connection
        .execute(
            "DELETE FROM attempts WHERE name = $1 AND subject = $2",
            params![limit.name, subject],
        )
        .await?;
    Ok(())
}

/// Counts an attempt by the client's network address. On a development machine everything comes from
/// one address, so there the limit is a thousand times higher.
pub async fn count_attempt_by_address(context: &Context, limit: Limit) -> Result<(), Failure> {
    let factor = if context.configuration().development {
        1000
    } else {
        1
    };
    let limit = Limit {
        attempts: limit.attempts * factor,
        ..limit
    };
    count_attempt(context, limit, &neighbourhood(&context.address())).await
}

/// The addresses that one customer of a network has: an IPv4 address, or the /64 of an IPv6 address.
pub fn neighbourhood(address: &str) -> String {
    match address.parse() {
        Ok(std::net::IpAddr::V6(v6)) if v6.to_ipv4_mapped().is_none() => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::neighbourhood;

    #[test]
    fn addresses_of_one_network_of_version_6_are_counted_together() {
        let one = neighbourhood("2001:db8:1:2::7");
        assert_eq!(one, neighbourhood("2001:db8:1:2:ffff::1"));
        assert_ne!(one, neighbourhood("2001:db8:1:3::7"));
        assert_eq!(neighbourhood("192.0.2.7"), "192.0.2.7");
        assert_eq!(neighbourhood("::ffff:192.0.2.7"), "::ffff:192.0.2.7");
        assert_eq!(neighbourhood(""), "");
    }
}
