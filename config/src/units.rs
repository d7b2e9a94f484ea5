//! Quantities with their units: `"250ms"`, `"64KiB"`, `"100/s"`, `"5%"`, `2026-12-01`. A bare number is refused
//! wherever a unit matters: nobody sees whether `timeout = 30` means seconds or milliseconds.
//!
//! Each type shows itself in the shortest form that reads back to the same value: `"60s"` becomes `"1m"`.

mod quantity;

use std::fmt;
use std::time::Duration as Time;

use self::quantity::{SIZES, TIMES, Wrong, digits, quantity, scaled, write_quantity};
use crate::text::{Fault, Text};
use crate::text_type;

/// A span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(pub Time);

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(pub u64);

/// So many in each span of time. `60/m` and `1/s` are two different rates: what may come at once differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// At least 1.
    pub count: u32,
    /// Longer than zero.
    pub per: Time,
}

/// A part of a whole, 0% to 100%, exact to a millionth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share {
    ppm: u32,
}

/// A day of the calendar, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(pub jiff::civil::Date);

text_type!(
    Duration,
    r"^[0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h|d)$",
    "A span of time: a number and its unit, ns, us, ms, s, m, h or d. \"250ms\""
);
text_type!(
    Size,
    r"^[0-9]+(\.[0-9]+)?(B|KiB|MiB|GiB|TiB)$",
    "A number of bytes: a number and its unit, B, KiB, MiB, GiB or TiB. \"64KiB\""
);
text_type!(
    Rate,
    r"^[0-9]+/([0-9]+(\.[0-9]+)?)?(ns|us|ms|s|m|h|d)$",
    "So many in each span of time. \"100/s\", \"1/3s\", \"5000/h\""
);
text_type!(Share, r"^[0-9]+(\.[0-9]+)?%$", "A part of a whole, \"0%\" to \"100%\", with up to four decimals. \"0.5%\"");
text_type!(Date, r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "A day: year, month, day. 2026-12-01");

impl Duration {
    /// The longest span that a document may hold, 100 years: whatever the reader lets through can be added to a clock's
    /// reading without overflow.
    pub const MAX: Self = Self(Time::from_secs(36_500 * 86_400));
}

impl Text for Duration {
    const WHAT: &'static str = "a duration such as \"30s\"";

    fn from_text(text: &str) -> Result<Self, Fault> {
        let nanos = quantity(text, TIMES, "duration", "\"250ms\", \"30s\", \"5m\"")?;
        let time = Time::new((nanos / 1_000_000_000) as u64, (nanos % 1_000_000_000) as u32);
        if time > Self::MAX.0 {
            return Err(Fault::new(format!("\"{text}\" is too long")).hint("at most 36500d, 100 years"));
        }
        Ok(Self(time))
    }

    fn number_hint(number: &str) -> String {
        format!("write the unit: \"{number}s\" or \"{number}ms\"")
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_quantity(f, self.0.as_nanos(), TIMES, "0s")
    }
}

impl From<Duration> for Time {
    fn from(duration: Duration) -> Self {
        duration.0
    }
}

impl Text for Size {
    const WHAT: &'static str = "a size such as \"64KiB\"";

    fn from_text(text: &str) -> Result<Self, Fault> {
        let bytes = quantity(text, SIZES, "size", "\"512B\", \"64KiB\", \"1MiB\"")?;
        u64::try_from(bytes).map(Self).map_err(|_| Fault::new(format!("\"{text}\" is too large")))
    }

    fn number_hint(number: &str) -> String {
        format!("write the unit: \"{number}B\" or \"{number}KiB\"")
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_quantity(f, self.0.into(), SIZES, "0B")
    }
}

impl Text for Rate {
    const WHAT: &'static str = "a rate such as \"100/s\"";

    fn from_text(text: &str) -> Result<Self, Fault> {
        const FORM: &str = "a rate is a whole number, `/` and a span of time: \"100/s\", \"1/3s\", \"5000/h\"";
        let fault = || Fault::new(format!("\"{}\" is not a rate", text.escape_debug())).hint(FORM);
        let (count, per) = text.split_once('/').ok_or_else(fault)?;
        if !digits(count) {
            return Err(fault());
        }
        let count: u32 = count.parse().map_err(|_| Fault::new(format!("\"{text}\" is too high a rate")))?;
        let per = if per.starts_with(|c: char| c.is_ascii_digit()) {
            Duration::from_text(per)?
        } else {
            Duration::from_text(&format!("1{per}")).map_err(|_| fault())?
        };
        if count == 0 || per.0.is_zero() {
            let hint = "a rate is at least 1 in a span longer than zero; to let nothing through, use the filter `deny`";
            return Err(Fault::new(format!("\"{text}\" is not a rate")).hint(hint));
        }
        Ok(Self { count, per: per.0 })
    }

    fn number_hint(number: &str) -> String {
        format!("write in what time: \"{number}/s\" or \"{number}/m\"")
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per = Duration(self.per).to_string();
        // "1s" is "s", but "10s" stays.
        let unit = per.strip_prefix('1').filter(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()));
        write!(f, "{}/{}", self.count, unit.unwrap_or(&per))
    }
}

impl Share {
    pub const ALL: Self = Self { ppm: 1_000_000 };

    /// None above a million.
    pub fn from_ppm(ppm: u32) -> Option<Self> {
        (ppm <= Self::ALL.ppm).then_some(Self { ppm })
    }

    /// Parts per million.
    pub fn ppm(self) -> u32 {
        self.ppm
    }

    /// 0 to 1.
    pub fn fraction(self) -> f64 {
        f64::from(self.ppm) / 1e6
    }
}

impl Text for Share {
    const WHAT: &'static str = "a share such as \"5%\"";

    fn from_text(text: &str) -> Result<Self, Fault> {
        let fault =
            || Fault::new(format!("\"{}\" is not a share", text.escape_debug())).hint("write \"5%\" or \"0.5%\"");
        let number = text.strip_suffix('%').ok_or_else(fault)?;
        let ppm = scaled(number, 10_000).map_err(|wrong| match wrong {
            Wrong::Form => fault(),
            Wrong::TooFine => {
                Fault::new(format!("\"{text}\" is too fine a share")).hint("at most four decimals: \"0.0001%\"")
            }
            Wrong::TooLarge => above(text),
        })?;
        u32::try_from(ppm).ok().and_then(Self::from_ppm).ok_or_else(|| above(text))
    }

    fn number_hint(number: &str) -> String {
        format!("write \"{number}%\"")
    }
}

fn above(text: &str) -> Fault {
    Fault::new(format!("\"{text}\" is more than all")).hint("a share is at most \"100%\"")
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.ppm / 10_000, self.ppm % 10_000);
        if rest == 0 {
            return write!(f, "{whole}%");
        }
        let decimals = format!("{rest:04}");
        write!(f, "{whole}.{}%", decimals.trim_end_matches('0'))
    }
}

impl Text for Date {
    const WHAT: &'static str = "a date such as 2026-12-01";

    fn from_text(text: &str) -> Result<Self, Fault> {
        let parts = || {
            let [year, month, day]: [&str; 3] = text.split('-').collect::<Vec<_>>().try_into().ok()?;
            let widths = [year, month, day].map(str::len) == [4, 2, 2];
            (widths && [year, month, day].into_iter().all(digits)).then_some((year, month, day))
        };
        let (year, month, day) = parts().ok_or_else(|| {
            Fault::new(format!("\"{}\" is not a date", text.escape_debug())).hint("year-month-day: 2026-12-01")
        })?;
        let none = || Fault::new(format!("there is no {text} in the calendar")).hint("year-month-day: 2026-12-01");
        let year = year.parse().map_err(|_| none())?;
        let month = month.parse().map_err(|_| none())?;
        let day = day.parse().map_err(|_| none())?;
        jiff::civil::Date::new(year, month, day).map(Self).map_err(|_| none())
    }

    fn from_date(date: Date) -> Option<Self> {
        Some(date)
    }

    fn number_hint(_: &str) -> String {
        "year-month-day: 2026-12-01".to_owned()
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.0.year(), self.0.month(), self.0.day())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical<T: Text + fmt::Display>(text: &str) -> String {
        match T::from_text(text) {
            Ok(value) => value.to_string(),
            Err(fault) => format!("refused: {fault}"),
        }
    }

    #[test]
    fn quantities_have_one_shortest_form() {
        for (text, shortest) in [
            ("250ms", "250ms"),
            ("60s", "1m"),
            ("90s", "90s"),
            ("1.5s", "1500ms"),
            ("0.5m", "30s"),
            ("48h", "2d"),
            ("0h", "0s"),
            ("1.000s", "1s"),
            ("007s", "7s"),
        ] {
            assert_eq!(canonical::<Duration>(text), shortest, "{text}");
        }
        for (text, shortest) in
            [("1024B", "1KiB"), ("0.5KiB", "512B"), ("1000B", "1000B"), ("0MiB", "0B"), ("1TiB", "1TiB")]
        {
            assert_eq!(canonical::<Size>(text), shortest, "{text}");
        }
        for (text, shortest) in
            [("100/s", "100/s"), ("100/60s", "100/m"), ("1/3s", "1/3s"), ("5/1h", "5/h"), ("5/10s", "5/10s")]
        {
            assert_eq!(canonical::<Rate>(text), shortest, "{text}");
        }
        for (text, shortest) in
            [("5%", "5%"), ("0.50%", "0.5%"), ("100%", "100%"), ("0%", "0%"), ("0.0001%", "0.0001%")]
        {
            assert_eq!(canonical::<Share>(text), shortest, "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused_with_what_to_write() {
        let durations = "one of ns, us, ms, s, m, h, d: \"250ms\", \"30s\", \"5m\"";
        let form = "write a number and its unit, with nothing between: \"250ms\", \"30s\", \"5m\"";
        for (text, fault) in [
            ("30", format!("\"30\" has no unit; {durations}")),
            ("30sec", format!("\"30sec\" has the unknown unit `sec`; {durations}")),
            ("30 s", format!("\"30 s\" is not a duration; {form}")),
            ("-1s", format!("\"-1s\" is not a duration; {form}")),
            ("1.s", format!("\"1.s\" is not a duration; {form}")),
            ("1.2.3s", format!("\"1.2.3s\" is not a duration; {form}")),
            ("", format!("\"\" is not a duration; {form}")),
            ("0.5ns", "\"0.5ns\" is not a duration; it is no whole number of ns".to_owned()),
            ("99999999999999999999s", "\"99999999999999999999s\" is too large".to_owned()),
            ("40000d", "\"40000d\" is too long; at most 36500d, 100 years".to_owned()),
        ] {
            assert_eq!(Duration::parse(text), Err(fault), "{text}");
        }
        assert!(Size::parse("64KB").is_err_and(|fault| fault.contains("KiB")));
        assert!(Size::parse("99999999TiB").is_err_and(|fault| fault.contains("too large")));
        for rate in ["100", "100/", "/s", "1.5/s", "0/s", "5/0s", "-1/s", "5/s/s", "99999999999/s"] {
            assert!(Rate::parse(rate).is_err(), "{rate}");
        }
        for share in ["5", "0.05", "101%", "-1%", "5 %", "0.00001%", ".5%", "%"] {
            assert!(Share::parse(share).is_err(), "{share}");
        }
        for date in ["2026-1-1", "2026-02-30", "26-01-01", "2026-12-01T00:00:00", "2026/12/01", "x", "+026-01-01"] {
            assert!(Date::parse(date).is_err(), "{date}");
        }
    }

    #[test]
    fn a_share_is_exact() {
        let share = Share::parse("0.5%").expect("a share");
        assert_eq!((share.ppm(), share.fraction()), (5_000, 0.005));
        assert_eq!(Share::from_ppm(1_000_001), None);
    }

    proptest! {
        #[test]
        fn every_value_reads_back_from_its_shortest_form(
            seconds in 0..=Duration::MAX.0.as_secs(), nanos in 0..1_000_000_000u32, bytes: u64, count in 1..u32::MAX, ppm in 0..=1_000_000u32,
        ) {
            let duration = Duration(Time::new(seconds, if seconds == Duration::MAX.0.as_secs() { 0 } else { nanos }));
            prop_assert_eq!(Duration::parse(&duration.to_string()), Ok(duration));
            prop_assert_eq!(Size::parse(&Size(bytes).to_string()), Ok(Size(bytes)));
            let rate = Rate { count, per: duration.0.max(Time::from_nanos(1)) };
            prop_assert_eq!(Rate::parse(&rate.to_string()), Ok(rate));
            let share = Share::from_ppm(ppm).expect("at most a million");
            prop_assert_eq!(Share::parse(&share.to_string()), Ok(share));
        }

        #[test]
        fn no_text_makes_the_units_panic(text in ".{0,12}|[0-9.]{0,40}[a-zA-Z%/]{0,4}[0-9]{0,3}[a-z]{0,2}") {
            let _ = (Duration::parse(&text), Size::parse(&text), Rate::parse(&text), Share::parse(&text), Date::parse(&text));
        }
    }
}
