//! Currencies: the active codes of ISO 4217 and how many digits their minor unit has.
//!
//! Source: ISO 4217, list one ("Current currency & funds code list"), as its maintenance agency SIX published it in 2025.
//! Codes without a minor unit (metals, units of account, tests) are left out: nobody is paid in them.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};

/// Codes whose minor unit has two digits: all that stand in no other list.
const TWO: &str = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD \
                   CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD \
                   GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA \
                   MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR \
                   RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD \
                   TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG";
/// Codes without digits behind the point.
const NONE: &str = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF";
/// Codes with three.
const THREE: &str = "BHD IQD JOD KWD LYD OMR TND";
/// Codes with four.
const FOUR: &str = "CLF UYW";

/// A currency: an active code of ISO 4217.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency([u8; 3]);

impl Currency {
    /// Its code, for example `EUR`.
    pub fn as_str(&self) -> &str {
        // Made of a listed code, which is ASCII.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// How many digits its minor unit has: 2 for EUR, 0 for JPY.
    pub fn digits(self) -> u32 {
        let has = |list: &str| list.split(' ').any(|code| code == self.as_str());
        match () {
            () if has(NONE) => 0,
            () if has(THREE) => 3,
            () if has(FOUR) => 4,
            () => 2,
        }
    }
}

impl Default for Currency {
    /// The euro: what a new organisation counts in until it says otherwise.
    fn default() -> Self {
        Self(*b"EUR")
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Currency({self})")
    }
}

impl FromStr for Currency {
    type Err = Error;

    /// Reads a code; case and spaces around it do not matter.
    fn from_str(text: &str) -> Result<Self> {
        let code = text.trim().to_ascii_uppercase();
        let known = [TWO, NONE, THREE, FOUR].iter().flat_map(|list| list.split(' ')).any(|it| it == code);
        let bytes = <[u8; 3]>::try_from(code.as_bytes()).ok().filter(|_| known);
        bytes.map(Self).ok_or_else(|| {
            Error::malformed(format!("{text:?} is no currency: an ISO 4217 code such as EUR is expected"))
        })
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(|e: Error| serde::de::Error::custom(e.message()))
    }
}

impl JsonSchema for Currency {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Currency".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[A-Z]{3}$", "examples": ["EUR"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_whatever_their_case_and_know_their_digits() {
        for (text, code, digits) in
            [("EUR", "EUR", 2), (" usd ", "USD", 2), ("JPY", "JPY", 0), ("kwd", "KWD", 3), ("CLF", "CLF", 4)]
        {
            let currency: Currency = text.parse().unwrap();
            assert_eq!((currency.as_str(), currency.digits()), (code, digits));
        }
    }

    #[test]
    fn what_is_no_active_currency_is_refused() {
        for text in ["", "EU", "EURO", "DEM", "XXX", "XAU", "EUR USD", "€"] {
            assert!(text.parse::<Currency>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn no_code_stands_twice() {
        let mut codes: Vec<_> = [TWO, NONE, THREE, FOUR].iter().flat_map(|list| list.split(' ')).collect();
        let count = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!((codes.len(), codes.iter().all(|code| code.len() == 3)), (count, true));
    }
}
