//! Money: a decimal amount of one currency. Kept as whole ten-thousandths of the currency's unit, so that amounts of all
//! currencies sort and sum alike; read and written as a decimal text, never as a float.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeStruct};

use crate::domain::{
    currency::Currency,
    text::{Checked, Flaw, Flaws},
};

/// Ten-thousandths in one unit: no currency has a smaller part.
const PARTS: i128 = 10_000;
/// The digits of [`PARTS`].
const MOST_DIGITS: u32 = 4;
/// The most digits before the point.
const MOST_WHOLE: usize = 14;

/// An amount of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Money {
    /// In ten-thousandths of the currency's unit.
    pub amount: i64,
    /// Of what.
    pub currency: Currency,
}

/// An amount of money as people send it; still to be checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMoney {
    /// A decimal number, with at most the digits of the currency's minor unit behind the point.
    #[schemars(example = &"1250.00")]
    pub amount: String,
    /// ISO 4217; the organisation's own currency if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"EUR")]
    pub currency: Option<String>,
}

impl NewMoney {
    /// The money that it is, unless something is wrong with it, which is noted under `pointer`. Whoever knows the
    /// organisation's currency has put it where none was given.
    pub fn checked(&self, flaws: &mut Flaws, pointer: &str) -> Option<Money> {
        let currency = match &self.currency {
            None => Err(Flaw::new("required", "say in which currency: ISO 4217 has EUR")),
            Some(given) => given
                .parse::<Currency>()
                .map_err(|_| Flaw::new("unknown", format!("{given:?} is no currency: ISO 4217 has EUR"))),
        };
        let currency = flaws.take(format!("{pointer}/currency"), currency);
        // Without a currency, what is no number in any is still told.
        let digits = currency.map_or(MOST_DIGITS, Currency::digits);
        let amount = flaws.take(format!("{pointer}/amount"), parse(&self.amount, digits));
        Some(Money { amount: amount?, currency: currency? })
    }
}

impl From<Money> for NewMoney {
    fn from(money: Money) -> Self {
        Self { amount: money.to_decimal(), currency: Some(money.currency.to_string()) }
    }
}

impl Money {
    /// The amount as a decimal text with exactly the currency's digits.
    pub fn to_decimal(self) -> String {
        decimal(i128::from(self.amount), self.currency)
    }
}

/// An amount in ten-thousandths as a decimal text with exactly the currency's digits, rounded half away from zero.
pub fn decimal(amount: i128, currency: Currency) -> String {
    let digits = currency.digits().min(MOST_DIGITS);
    let step = 10_i128.pow(MOST_DIGITS - digits);
    let size = (amount.unsigned_abs() + step.unsigned_abs() / 2) / step.unsigned_abs();
    let unit = 10_u128.pow(digits);
    let sign = if amount < 0 && size > 0 { "-" } else { "" };
    match digits {
        0 => format!("{sign}{size}"),
        digits => format!("{sign}{}.{:0width$}", size / unit, size % unit, width = digits as usize),
    }
}

fn parse(text: &str, digits: u32) -> Checked<i64> {
    let text = text.trim();
    let invalid = || Flaw::new("invalid", format!("{text:?} is no decimal number such as \"1250.00\""));
    if text.starts_with('-') {
        return Err(Flaw::new("out_of_range", format!("{text} is below zero: 0 or more is expected")));
    }
    let (whole, part) = match text.split_once('.') {
        Some((whole, part)) if !part.is_empty() => (whole, part),
        Some(_) => return Err(invalid()),
        None => (text, ""),
    };
    if whole.is_empty() || !whole.chars().chain(part.chars()).all(|c| c.is_ascii_digit()) {
        return Err(invalid());
    }
    if part.len() > digits as usize {
        let detail = format!("{text} has {} digits behind the point: the currency has {digits}", part.len());
        return Err(Flaw::new("too_precise", detail));
    }
    if whole.trim_start_matches('0').len() > MOST_WHOLE {
        let detail = format!("{text} has more than {MOST_WHOLE} digits before the point");
        return Err(Flaw::new("out_of_range", detail));
    }
    let number = |text: &str| if text.is_empty() { Ok(0) } else { text.parse::<i128>() };
    let part_size = 10_i128.pow(MOST_DIGITS.saturating_sub(u32::try_from(part.len()).unwrap_or(MOST_DIGITS)));
    let whole = number(whole.trim_start_matches('0')).map_err(|_| invalid())?;
    let part = number(part).map_err(|_| invalid())?;
    i64::try_from(whole * PARTS + part * part_size).map_err(|_| invalid())
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut money = serializer.serialize_struct("Money", 2)?;
        money.serialize_field("amount", &self.to_decimal())?;
        money.serialize_field("currency", &self.currency)?;
        money.end()
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut flaws = Flaws::default();
        let money = NewMoney::deserialize(deserializer)?.checked(&mut flaws, "");
        flaws.end().map_err(de::Error::custom)?;
        money.ok_or_else(|| de::Error::custom("this is no money"))
    }
}

impl JsonSchema for Money {
    fn schema_name() -> Cow<'static, str> {
        "Money".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "An amount of money.",
            "properties": {
                "amount": {
                    "type": "string",
                    "description": "A decimal number with exactly the digits of the currency's minor unit.",
                    "pattern": r"^-?\d+(\.\d+)?$",
                    "examples": ["1250.00"],
                },
                "currency": generator.subschema_for::<Currency>(),
            },
            "required": ["amount", "currency"],
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(amount: &str, currency: &str) -> Result<Money, Vec<(String, String)>> {
        let mut flaws = Flaws::default();
        let money =
            NewMoney { amount: amount.to_owned(), currency: Some(currency.to_owned()) }.checked(&mut flaws, "/value");
        match flaws.end() {
            Ok(()) => Ok(money.unwrap()),
            Err(error) => Err(error.fields().iter().map(|it| (it.pointer.clone(), it.code.to_string())).collect()),
        }
    }

    #[test]
    fn money_is_answered_with_exactly_its_digits() {
        for (given, currency, amount, answered) in [
            ("1250", "EUR", 12_500_000, "1250.00"),
            ("0.5", "EUR", 5_000, "0.50"),
            ("007", "JPY", 70_000, "7"),
            ("1.234", "KWD", 12_340, "1.234"),
            ("0.0001", "CLF", 1, "0.0001"),
            ("99999999999999.99", "USD", 999_999_999_999_999_900, "99999999999999.99"),
        ] {
            let money = read(given, currency).unwrap();
            assert_eq!((money.amount, money.to_decimal().as_str()), (amount, answered));
            let json = json!({ "amount": answered, "currency": currency });
            assert_eq!(json!(money), json);
            assert_eq!(serde_json::from_value::<Money>(json).unwrap(), money);
        }
    }

    #[test]
    fn what_is_no_money_is_told_by_its_member() {
        for (given, currency, pointer, code) in [
            ("1.234", "EUR", "/value/amount", "too_precise"),
            ("1.0", "JPY", "/value/amount", "too_precise"),
            ("-1", "EUR", "/value/amount", "out_of_range"),
            ("100000000000000", "EUR", "/value/amount", "out_of_range"),
            ("1e3", "EUR", "/value/amount", "invalid"),
            ("1.", "EUR", "/value/amount", "invalid"),
            (".5", "EUR", "/value/amount", "invalid"),
            ("", "EUR", "/value/amount", "invalid"),
            ("1", "XYZ", "/value/currency", "unknown"),
        ] {
            assert_eq!(read(given, currency), Err(vec![(pointer.to_owned(), code.to_owned())]), "{given} {currency}");
        }
        assert_eq!(read("x", "XYZ").unwrap_err().len(), 2);
    }

    #[test]
    fn sums_are_rounded_to_the_digits() {
        let euro = "EUR".parse().unwrap();
        let huge = i128::from(i64::MAX) * 10_000;
        for (amount, text) in
            [(149, "0.01"), (150, "0.02"), (-150, "-0.02"), (-1, "0.00"), (huge, "9223372036854775807.00")]
        {
            assert_eq!(decimal(amount, euro), text);
        }
    }
}
