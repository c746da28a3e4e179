//! The public form's gate: a challenge that the keyring signs, work that whoever answers it has done, and
//! counters an hour. No third party is asked, and no address is kept.

use sha2::{Digest, Sha256};

use super::error::LeadError;
use super::model::Form;
use super::store;
use crate::clock::{Timestamp, minutes_after};
use crate::edge::{App, Keyring, Write};
use crate::ids::{ProgramId, hex};
use crate::table;

/// Minutes for which a challenge can be answered: enough to fill in a form.
pub const CHALLENGE_MINUTES: i64 = 60;
/// Characters of a challenge; ours have fewer.
pub const MAX_CHALLENGE: usize = 160;
/// Characters of an answer.
pub const MAX_NONCE: usize = 64;

/// What a form is to do before it is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// What is to be answered.
    pub text: String,
    /// Leading zero bits that SHA-256 of `<challenge>.<nonce>` has to have.
    pub work_bits: u32,
    /// Until when it can be answered.
    pub until: Timestamp,
}

/// A new challenge of a program's form.
#[must_use]
pub fn challenge(app: &App, program: ProgramId, form: Form) -> Challenge {
    let until = minutes_after(app.now(), CHALLENGE_MINUTES);
    let chance = hex(&app.entropy.bytes::<12>());
    let text = signed(
        &app.keyring,
        &format!(
            "1.{program}.{}.{}.{chance}",
            until.as_second(),
            form.work_bits
        ),
    );
    Challenge {
        text,
        work_bits: form.work_bits,
        until,
    }
}

fn signed(keyring: &Keyring, told: &str) -> String {
    format!("{told}.{}", keyring.reference("lead-challenge", told))
}

/// Until when a challenge can be answered that this form issued and whose work is done.
///
/// # Errors
/// `ChallengeInvalid`, `WorkMissing`.
pub fn answered(
    keyring: &Keyring,
    program: ProgramId,
    challenge: &str,
    nonce: &str,
    now: Timestamp,
) -> Result<Timestamp, LeadError> {
    let invalid = LeadError::ChallengeInvalid;
    let Some((told, _)) = challenge.rsplit_once('.') else {
        return Err(invalid);
    };
    // Equal texts are equal signatures; a forger learns nothing from the time that comparing takes, because the
    // signature is of the forger's own text and 128 bits long.
    if signed(keyring, told) != challenge {
        return Err(invalid);
    }
    let mut parts = told.split('.');
    let (Some("1"), Some(of), Some(until), Some(bits)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(invalid);
    };
    let until = until
        .parse()
        .ok()
        .and_then(|second| Timestamp::from_second(second).ok());
    let (Some(until), Ok(bits)) = (until, bits.parse::<u32>()) else {
        return Err(invalid);
    };
    if of != program.to_string() || now >= until {
        return Err(invalid);
    }
    if work(challenge, nonce) < bits {
        return Err(LeadError::WorkMissing);
    }
    Ok(until)
}

/// Leading zero bits of SHA-256 of `<challenge>.<nonce>`.
#[must_use]
pub fn work(challenge: &str, nonce: &str) -> u32 {
    let hash = Sha256::digest(format!("{challenge}.{nonce}").as_bytes());
    let mut bits = 0;
    for byte in hash {
        bits += byte.leading_zeros();
        if byte != 0 {
            break;
        }
    }
    bits
}

/// The writes that let one lead in: its challenge is spent, and its address (what stands for it, see
/// [`crate::edge::ClientAddress`]) and the form have one more in this hour.
///
/// # Errors
/// Never.
pub fn admit(
    app: &App,
    program: ProgramId,
    form: Form,
    address: &str,
    challenge: &str,
    until: Timestamp,
) -> Result<Vec<Write<LeadError>>, table::Error> {
    let hour = app.now().as_second().div_euclid(3_600);
    let next = Timestamp::from_second((hour + 1) * 3_600).unwrap_or(Timestamp::MAX);
    let digest = Sha256::digest(challenge.as_bytes());
    let spend = store::spend(&hex(&digest[..16]), until)?;
    Ok(vec![
        Write::new(spend, |_| LeadError::ChallengeSpent),
        Write::new(
            store::count(program, address, hour, form.per_address),
            move |_| LeadError::TooMany(next),
        ),
        Write::new(
            store::count(program, "all", hour, form.per_form),
            move |_| LeadError::TooMany(next),
        ),
    ])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn solve(challenge: &str, bits: u32) -> String {
        (0_u64..)
            .map(|nonce| nonce.to_string())
            .find(|nonce| work(challenge, nonce) >= bits)
            .unwrap()
    }

    #[test]
    fn a_challenge_is_answered_in_its_form_in_time_and_with_its_work_done() {
        let keyring = Keyring::read(&Keyring::generate().unwrap()).unwrap();
        let program = ProgramId::from_bytes([1; 16]);
        let now: Timestamp = "2026-03-02T09:00:00Z".parse().unwrap();
        let until = minutes_after(now, CHALLENGE_MINUTES);
        let told = format!("1.{program}.{}.8.00ff", until.as_second());
        let challenge = signed(&keyring, &told);
        assert!(challenge.len() <= MAX_CHALLENGE);
        let nonce = solve(&challenge, 8);
        let ask = |program, challenge: &str, nonce: &str, now| {
            answered(&keyring, program, challenge, nonce, now)
        };
        assert_eq!(ask(program, &challenge, &nonce, now).unwrap(), until);
        let lazy = (0..)
            .map(|n: u32| n.to_string())
            .find(|nonce| work(&challenge, nonce) < 8);
        let lazy = ask(program, &challenge, &lazy.unwrap(), now);
        assert!(matches!(lazy, Err(LeadError::WorkMissing)), "{lazy:?}");
        let easier = challenge.replacen(".8.", ".0.", 1);
        let elsewhere = ProgramId::from_bytes([2; 16]);
        for (program, challenge, at) in [
            (program, easier.as_str(), now),
            (elsewhere, &challenge, now),
            (program, &challenge, until),
            (program, "", now),
            (program, "1.x", now),
        ] {
            let refused = ask(program, challenge, &nonce, at);
            assert!(
                matches!(refused, Err(LeadError::ChallengeInvalid)),
                "{challenge}"
            );
        }
    }
}
