//! A programme from a seed: the same every time.

use super::log::{Call, Invoice, Log, Partner};

pub const DAY_MS: i64 = 86_400_000;
pub const DAYS: i64 = 730;
/// Products that partners subscribe to.
pub const PRODUCTS: usize = 6;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: i64) -> i64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        i64::try_from((self.0 >> 33) % u64::try_from(sides).unwrap()).unwrap()
    }
}

/// So many partners over two years from this moment. Six in ten go live; who is live calls every few days,
/// is invoiced every 30, and one in three leaves again.
pub fn generate(start_ms: i64, partners: usize) -> Log {
    let mut dice = Dice(20_260_101);
    let mut log = Log::default();
    for number in 0..partners {
        live(&mut log, &mut dice, number, start_ms);
    }
    log
}

fn live(log: &mut Log, dice: &mut Dice, number: usize, start_ms: i64) {
    let mut at = start_ms + DAY_MS + dice.roll(690) * DAY_MS + dice.roll(DAY_MS);
    let mut at_ms = [Some(at), None, None, None];
    let reach = dice.roll(20);
    for (place, step) in at_ms.iter_mut().enumerate().skip(1) {
        at += dice.roll(60_000) * dice.roll(200);
        if reach >= i64::try_from(place).unwrap() {
            *step = Some(at);
        }
    }
    log.partners.push(Partner {
        name: format!("Partner {number:05}"),
        source: ["", "search", "event"][number % 3],
        product: number % PRODUCTS,
        at_ms,
    });
    let end = start_ms + DAYS * DAY_MS;
    if reach >= 1 {
        for _ in 0..dice.roll(5) {
            let touched = at + dice.roll(90) * DAY_MS;
            if touched < end {
                log.touches.push((number, touched));
            }
        }
        if dice.roll(3) == 0 {
            log.messages
                .push((number, (at + dice.roll(60) * DAY_MS).min(end - 1)));
        }
    }
    if reach < 4 {
        return;
    }
    let first = at / 60_000 + dice.roll(20_000);
    let live_from = first + 1 + dice.roll(30) * 1_440;
    let every = 1 + dice.roll(8) * 1_440;
    let stops = if dice.roll(3) == 0 {
        live_from + dice.roll(300) * 1_440
    } else {
        i64::MAX
    };
    let mut minute = first;
    while minute * 60_000 < end && minute < stops {
        let outcome = match dice.roll(20) {
            0 => "4xx",
            1 => "5xx",
            2 => "rate_limited",
            3 => "quota_exceeded",
            4 => "3xx",
            _ => "2xx",
        };
        log.calls.push(Call {
            partner: number,
            is_live: reach > 7 && minute >= live_from,
            outcome,
            minute,
            count: dice.roll(300) + 1,
        });
        minute += 1 + every / 2 + dice.roll(every.max(720));
    }
    if reach > 7 {
        invoice(
            log,
            dice,
            number,
            live_from,
            end.min(stops.saturating_mul(60_000)),
        );
    }
}

fn invoice(log: &mut Log, dice: &mut Dice, number: usize, live_from: i64, end: i64) {
    let mut issued_ms = (live_from + 30 * 1_440) * 60_000;
    while issued_ms < end {
        log.invoices.push(Invoice {
            partner: number,
            issued_ms,
            fee: (dice.roll(5) + 1) * 1_000,
            usage: dice.roll(40_000),
            discount: if dice.roll(6) == 0 { dice.roll(900) } else { 0 },
            is_void: dice.roll(50) == 0,
        });
        issued_ms += 30 * DAY_MS;
    }
}
