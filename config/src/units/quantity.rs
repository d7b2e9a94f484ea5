//! A number and its unit, exactly: no floating point, so that what is shown reads back.

use std::fmt;

use crate::text::Fault;

/// Units from the smallest, with how many of the base they are.
pub(super) type Units = [(&'static str, u64)];

pub(super) const TIMES: &Units = &[
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("h", 3_600 * 1_000_000_000),
    ("d", 86_400 * 1_000_000_000),
];
pub(super) const SIZES: &Units = &[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

/// A number and one of `units`, in the base unit.
pub(super) fn quantity(text: &str, units: &Units, what: &str, examples: &str) -> Result<u128, Fault> {
    let names = || units.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let not_one = || Fault::new(format!("\"{}\" is not a {what}", text.escape_debug()));
    if number.is_empty() {
        return Err(not_one().hint(format!("write a number and its unit, with nothing between: {examples}")));
    }
    if unit.is_empty() {
        return Err(Fault::new(format!("\"{number}\" has no unit")).hint(format!("one of {}: {examples}", names())));
    }
    if unit.trim() != unit {
        return Err(not_one().hint(format!("write a number and its unit, with nothing between: {examples}")));
    }
    let Some(&(_, base)) = units.iter().find(|(name, _)| *name == unit) else {
        let message = format!("\"{}\" has the unknown unit `{}`", text.escape_debug(), unit.escape_debug());
        return Err(Fault::new(message).hint(format!("one of {}: {examples}", names())));
    };
    scaled(number, base).map_err(|wrong| match wrong {
        Wrong::Form => not_one().hint(format!("write a number and its unit, with nothing between: {examples}")),
        Wrong::TooFine => not_one().hint(format!("it is no whole number of {}", units[0].0)),
        Wrong::TooLarge => Fault::new(format!("\"{text}\" is too large")),
    })
}

/// Why a number is none of ours.
pub(super) enum Wrong {
    Form,
    TooFine,
    TooLarge,
}

/// `number` (`12`, `1.5`) times `base`, exactly.
pub(super) fn scaled(number: &str, base: u64) -> Result<u128, Wrong> {
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    if !digits(whole) || !digits(decimals) {
        return Err(Wrong::Form);
    }
    let decimals = decimals.trim_end_matches('0');
    let whole: u64 = whole.parse().map_err(|_| Wrong::TooLarge)?;
    let whole = u128::from(whole) * u128::from(base);
    if decimals.is_empty() {
        return Ok(whole);
    }
    // 18 digits times 2^47 (a day in nanoseconds) stay below 2^107.
    let scale = u32::try_from(decimals.len()).ok().filter(|len| *len <= 18).ok_or(Wrong::TooFine)?;
    let part = decimals.parse::<u128>().map_err(|_| Wrong::Form)? * u128::from(base);
    let scale = 10u128.pow(scale);
    if !part.is_multiple_of(scale) {
        return Err(Wrong::TooFine);
    }
    Ok(whole + part / scale)
}

pub(super) fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// In the largest unit that needs no decimals.
pub(super) fn write_quantity(f: &mut fmt::Formatter<'_>, value: u128, units: &Units, zero: &str) -> fmt::Result {
    if value == 0 {
        return f.write_str(zero);
    }
    let unit = units.iter().rev().find(|(_, base)| value.is_multiple_of(u128::from(*base)));
    match unit {
        Some((name, base)) => write!(f, "{}{name}", value / u128::from(*base)),
        None => write!(f, "{value}{}", units[0].0),
    }
}
