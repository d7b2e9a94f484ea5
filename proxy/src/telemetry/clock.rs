//! Times as the logs write them.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

/// `2026-11-23T12:00:00.`
const TEXT: usize = 20;

/// Writes times, each second's text made once.
#[derive(Debug)]
pub(super) struct Clock {
    /// Seconds since 1970 of `text`.
    second: u64,
    text: [u8; TEXT],
}

impl Default for Clock {
    fn default() -> Self {
        Self { second: 0, text: *b"1970-01-01T00:00:00." }
    }
}

impl Clock {
    /// An RFC 3339 time in UTC with milliseconds. Times before 1970 are written as 1970.
    #[inline]
    pub(super) fn write(&mut self, out: &mut Vec<u8>, at: SystemTime) {
        let since_1970 = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        if self.second != since_1970.as_secs() {
            self.turn(since_1970.as_secs());
        }
        out.extend_from_slice(&self.text);
        let ms = since_1970.subsec_millis();
        let [hundreds, tens, ones] = [ms / 100, ms / 10 % 10, ms % 10].map(|digit| b'0' + digit as u8);
        out.extend_from_slice(&[hundreds, tens, ones, b'Z']);
    }

    #[cold]
    fn turn(&mut self, second: u64) {
        self.second = second;
        // The last second that jiff knows is in the year 9999.
        let known = i64::try_from(second).ok().and_then(|second| jiff::Timestamp::from_second(second).ok());
        let time = known.unwrap_or(jiff::Timestamp::MAX);
        // A year has four digits here, so this is as long as the text.
        let _ = write!(&mut self.text[..], "{}", time.strftime("%Y-%m-%dT%H:%M:%S."));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn written(clock: &mut Clock, at: SystemTime) -> String {
        let mut out = Vec::new();
        clock.write(&mut out, at);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_text_of_a_second_is_not_used_for_another() {
        let mut clock = Clock::default();
        for (ms, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (999, "1970-01-01T00:00:00.999Z"),
            (1_000, "1970-01-01T00:00:01.000Z"),
            (951_782_400_007, "2000-02-29T00:00:00.007Z"),
            (0, "1970-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(written(&mut clock, UNIX_EPOCH + Duration::from_millis(ms)), expected);
        }
    }

    #[test]
    fn times_that_no_clock_has_are_written_too() {
        assert_eq!(written(&mut Clock::default(), UNIX_EPOCH - Duration::from_secs(1)), "1970-01-01T00:00:00.000Z");
        let end = UNIX_EPOCH + Duration::from_secs(i64::MAX as u64);
        assert_eq!(written(&mut Clock::default(), end), "9999-12-30T22:00:00.000Z");
    }

    proptest! {
        #[test]
        fn times_read_back(ms in 0..253_000_000_000_000u64) {
            let read: jiff::Timestamp = written(&mut Clock::default(), UNIX_EPOCH + Duration::from_millis(ms)).parse().unwrap();
            prop_assert_eq!(read.as_millisecond(), ms as i64);
        }
    }
}
