//! Pauses before retries.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::options::HubOptions;

/// Longest pause that a hub may ask for. A request that needs a longer pause fails.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// Longest pause of the exponential back-off.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(60);

/// Remaining attempts of one request.
pub(crate) struct Retries {
    allowed: u32,
    used: u32,
    delay: Duration,
}

impl Retries {
    pub(crate) fn new(options: &HubOptions) -> Self {
        Self { allowed: options.retries, used: 0, delay: options.retry_delay }
    }

    /// Resets the count, after an attempt that received bytes.
    pub(crate) fn reset(&mut self) {
        self.used = 0;
    }

    /// Allows only one more attempt: a host that cannot be reached is rarely reachable a moment
    /// later.
    pub(crate) fn allow_one(&mut self) {
        self.allowed = self.allowed.min(1);
    }

    /// Waits and returns true, or returns false if no attempts remain. `retry_after` is the pause
    /// that the hub asked for.
    pub(crate) fn wait(&mut self, retry_after: Option<Duration>) -> bool {
        let pause = self.next_pause(retry_after);
        pause.map(thread::sleep).is_some()
    }

    /// Counts the next attempt and returns the pause before it. None if no attempts remain.
    pub(crate) fn next_pause(&mut self, retry_after: Option<Duration>) -> Option<Duration> {
        if self.used >= self.allowed || retry_after.is_some_and(|wait| wait > LONGEST_WAIT) {
            return None;
        }
        let factor = 1_u32.checked_shl(self.used).unwrap_or(u32::MAX);
        let back_off = self.delay.saturating_mul(factor).min(LONGEST_BACK_OFF);
        let jitter = back_off.mul_f64(0.5 * random());
        self.used += 1;
        Some(retry_after.unwrap_or(back_off).saturating_add(jitter))
    }
}

/// Pause in the header `Retry-After`: seconds or an HTTP date.
pub(crate) fn retry_after(value: &str) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    Some(Duration::from_secs(http_date(value)?).saturating_sub(now))
}

/// Pause in the header `RateLimit`, if no requests remain: `"api";r=0;t=55` (the IETF's draft 9 of
/// `ratelimit-headers`, as `huggingface_hub/utils/_http.py` reads it).
pub(crate) fn rate_limit(value: &str) -> Option<Duration> {
    let number = |name: &str| {
        let mut fields = value.split(';').skip(1).filter_map(|field| field.split_once('='));
        fields.find(|(found, _)| found.trim() == name)?.1.trim().parse::<u64>().ok()
    };
    (number("r")? == 0).then(|| number("t").map(Duration::from_secs))?
}

/// Seconds since 1970 of a date like `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, date) = text.split_once(", ")?;
    let [day, month, year, time, "GMT"] = date.split(' ').collect::<Vec<_>>()[..] else {
        return None;
    };
    let number = |text: &str, range: std::ops::RangeInclusive<u64>| {
        text.parse().ok().filter(|number| range.contains(number))
    };
    let [hour, minute, second] = time.split(':').collect::<Vec<_>>()[..] else { return None };
    let seconds = number(hour, 0..=23)? * 3600 + number(minute, 0..=59)? * 60;
    let seconds = seconds + number(second, 0..=60)?;
    let month = MONTHS.iter().position(|name| *name == month)? as u64;
    let (day, year) = (number(day, 1..=31)?, number(year, 1970..=9999)?);
    // Howard Hinnant's `days_from_civil`.
    let (march_year, march_month) =
        if month >= 2 { (year, month - 2) } else { (year - 1, month + 10) };
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    let days =
        march_year * 365 + march_year / 4 - march_year / 100 + march_year / 400 + day_of_year;
    Some(days.checked_sub(719_468)? * 86_400 + seconds)
}

/// Random number from 0 to 1, from the keys that the standard library gives each hash map.
fn random() -> f64 {
    RandomState::new().build_hasher().finish() as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_seconds_or_dates() {
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(http_date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(http_date("Thu, 29 Feb 2024 23:59:59 GMT"), Some(1_709_251_199));
        assert_eq!(retry_after(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert!(retry_after("Fri, 31 Dec 9999 23:59:59 GMT").unwrap() > LONGEST_WAIT);
        for text in [
            "",
            "soon",
            "-1",
            "Sun, 06 Nov 1994",
            "Sun, 40 Nov 1994 08:49:37 GMT",
            "Sun, 06 ovD 1994 08:49:37 GMT",
            "Sun, 06 Nov 99999 08:49:37 GMT",
        ] {
            assert_eq!(retry_after(text), None, "{text}");
        }
    }

    #[test]
    fn limits_are_seconds_until_more_is_allowed() {
        for text in ["\"api\";r=0;t=55", "\"pages\" ; r = 0 ; t = 55"] {
            assert_eq!(rate_limit(text), Some(Duration::from_secs(55)), "{text}");
        }
        for text in ["", "\"api\";r=7;t=55", "\"api\";r=0", "\"api\";t=5", "\"api\";r=0;t=x"] {
            assert_eq!(rate_limit(text), None, "{text}");
        }
    }

    #[test]
    fn attempts_end() {
        let options = HubOptions::from_variables(&|_| None);
        let options = options.with_retries(2).with_retry_delay(Duration::ZERO);
        let mut retries = Retries::new(&options);
        assert!(retries.wait(None) && retries.wait(Some(Duration::ZERO)) && !retries.wait(None));
        retries.reset();
        assert!(!retries.wait(Some(Duration::from_secs(301))) && retries.wait(None));
    }

    #[test]
    fn a_host_that_becomes_unreachable_ends_them() {
        let options = HubOptions::from_variables(&|_| None);
        let options = options.with_retries(5).with_retry_delay(Duration::ZERO);
        let mut retries = Retries::new(&options);
        assert!(retries.wait(None) && retries.wait(None));
        retries.allow_one();
        assert!(!retries.wait(None) && !retries.wait(None));
    }
}
