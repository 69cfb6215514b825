//! Whole numbers as JSON writes them: `20` and `20.0` are one number (JSON Schema 2020-12 §6.1.1).

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserializer, Error, Unexpected, Visitor};
use serde_json::Value;

use crate::pointer;

/// Beyond it not every whole number has a float of its own: 2⁵³.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// For `deserialize_with`: a whole number, or `None` for `null`.
pub fn whole<'de, T: TryFrom<u64>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    from.deserialize_any(Whole(PhantomData))
}

/// The whole number that a value is, from 0.
pub fn of(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| exact(value.as_f64()?))
}

fn exact(number: f64) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole and within 0..=2^53"
    )]
    let whole = || number as u64;
    (number.fract() == 0.0 && (0.0..=EXACT).contains(&number)).then(whole)
}

/// Where the first number is that was rounded when it was read: one beyond the whole numbers of 64
/// bits. Larger floats may be exact, but that cannot be told any more.
pub fn rounded(value: &Value, pointer: String) -> Option<String> {
    match value {
        Value::Number(number) => {
            let float = number.as_f64().filter(|_| number.is_f64())?;
            (float.abs() >= EXACT).then_some(pointer)
        }
        Value::Array(items) => {
            let mut items = items.iter().enumerate();
            items.find_map(|(at, item)| rounded(item, format!("{pointer}/{at}")))
        }
        Value::Object(fields) => {
            let mut fields = fields.iter();
            fields.find_map(|(name, field)| rounded(field, pointer.clone() + &pointer::of(name)))
        }
        _ => None,
    }
}

struct Whole<T>(PhantomData<T>);

impl<T: TryFrom<u64>> Visitor<'_> for Whole<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As serde names types, so that the caller is told the range.
        f.write_str(if size_of::<T>() > 4 { "u64" } else { "u32" })
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Option<T>, E> {
        let outside = |_| E::invalid_value(Unexpected::Unsigned(number), &self);
        T::try_from(number).map(Some).map_err(outside)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Option<T>, E> {
        Err(E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Option<T>, E> {
        match exact(number) {
            Some(whole) => self.visit_u64(whole),
            None => Err(E::invalid_type(Unexpected::Float(number), &self)),
        }
    }

    fn visit_unit<E: Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<Option<u32>, String> {
        whole(value).map_err(|error| error.to_string())
    }

    #[test]
    fn a_whole_number_may_be_written_with_a_point() {
        assert_eq!(read(json!(20)), Ok(Some(20)));
        assert_eq!(read(json!(20.0)), Ok(Some(20)));
        assert_eq!(read(json!(null)), Ok(None));
        assert_eq!(of(&json!(7.0)), Some(7));
    }

    #[test]
    fn anything_else_is_refused() {
        for value in [
            json!(1.5),
            json!(-1),
            json!(-1.0),
            json!(4_294_967_296_u64),
            json!(1e300),
            json!("20"),
            json!([20]),
        ] {
            assert!(read(value.clone()).is_err(), "{value}");
        }
        assert_eq!(of(&json!(1.5)), None);
        assert_eq!(of(&json!(-1.0)), None);
    }
}
