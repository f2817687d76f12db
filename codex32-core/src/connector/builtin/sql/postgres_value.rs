//! JSON values in the binary form of the type that PostgreSQL wants for a parameter.

use crate::error::{Error, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};
use sea_orm::sqlx;
use serde_json::Value;
use sqlx::encode::{Encode, IsNull};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgArguments, PgStatement, PgTypeInfo, PgTypeKind};
use sqlx::{Arguments as _, Either, Postgres, Statement as _, Type, TypeInfo as _};

/// Days and microseconds are counted from 2000-01-01.
const EPOCH_MS: i64 = 946_684_800_000;

/// The parameters of a prepared statement.
///
/// # Errors
/// `invalid` where their number or a value is not right.
pub(super) fn arguments(statement: &PgStatement, params: &[Value]) -> Result<PgArguments> {
    let types: &[PgTypeInfo] = match statement.parameters() {
        Some(Either::Left(types)) => types,
        _ => &[],
    };
    if types.len() != params.len() {
        let message = format!("the statement has {} parameters, but {} values are given", types.len(), params.len());
        return Err(Error::invalid(message).at("/params", format!("must have {} items", types.len())));
    }
    let mut arguments = PgArguments::default();
    for (n, (ty, value)) in types.iter().zip(params).enumerate() {
        let bytes = match value {
            Value::Null => None,
            value => Some(encode(ty, value).map_err(|why| {
                let why = format!("the value of ${} is not right for {}: {why}", n + 1, ty.name());
                Error::invalid(why.clone()).at(format!("/params/{n}"), why)
            })?),
        };
        let typed = Typed { ty: ty.clone(), bytes };
        arguments.add(typed).map_err(|e| Error::invalid(format!("the value of ${} cannot be bound: {e}", n + 1)))?;
    }
    Ok(arguments)
}

/// A value that is encoded already.
struct Typed {
    ty: PgTypeInfo,
    bytes: Option<Vec<u8>>,
}

impl Type<Postgres> for Typed {
    fn type_info() -> PgTypeInfo {
        <str as Type<Postgres>>::type_info()
    }
}

impl Encode<'_, Postgres> for Typed {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> std::result::Result<IsNull, BoxDynError> {
        let Some(bytes) = &self.bytes else { return Ok(IsNull::Yes) };
        buffer.extend_from_slice(bytes);
        Ok(IsNull::No)
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(self.ty.clone())
    }
}

/// Fails with what is wrong with the value.
fn encode(ty: &PgTypeInfo, value: &Value) -> std::result::Result<Vec<u8>, String> {
    match ty.kind() {
        PgTypeKind::Domain(inner) => return encode(inner, value),
        PgTypeKind::Array(inner) => return array(inner, value),
        PgTypeKind::Enum(_) => return Ok(text(value).into_bytes()),
        _ => {}
    }
    let plain = text(value);
    let number = || plain.trim().parse::<i64>().map_err(|_| "it is no whole number".to_owned());
    let fits = |e: std::num::TryFromIntError| e.to_string();
    Ok(match ty.name() {
        "TEXT" | "VARCHAR" | "CHAR" | "BPCHAR" | "NAME" | "UNKNOWN" | "CITEXT" | "citext" | "JSON" | "XML" => {
            if ty.name() == "JSON" { value.to_string().into_bytes() } else { plain.into_bytes() }
        }
        "JSONB" => [&[1u8][..], value.to_string().as_bytes()].concat(),
        "BOOL" => match plain.as_str() {
            "true" | "t" | "1" => vec![1],
            "false" | "f" | "0" => vec![0],
            _ => return Err("it is neither true nor false".into()),
        },
        "INT2" => i16::try_from(number()?).map_err(fits)?.to_be_bytes().to_vec(),
        "INT4" => i32::try_from(number()?).map_err(fits)?.to_be_bytes().to_vec(),
        "INT8" => number()?.to_be_bytes().to_vec(),
        "OID" => u32::try_from(number()?).map_err(fits)?.to_be_bytes().to_vec(),
        "FLOAT4" => plain.trim().parse::<f32>().map_err(|e| e.to_string())?.to_be_bytes().to_vec(),
        "FLOAT8" => plain.trim().parse::<f64>().map_err(|e| e.to_string())?.to_be_bytes().to_vec(),
        "NUMERIC" => numeric(plain.trim())?,
        "UUID" => plain.trim().parse::<uuid::Uuid>().map_err(|e| e.to_string())?.as_bytes().to_vec(),
        "BYTEA" => STANDARD.decode(plain.trim()).map_err(|_| "it is no base64")?,
        "TIMESTAMPTZ" => {
            let at = DateTime::parse_from_rfc3339(plain.trim()).map_err(|_| "it is no RFC 3339 time")?;
            (at.timestamp_micros() - EPOCH_MS * 1_000).to_be_bytes().to_vec()
        }
        "TIMESTAMP" => {
            let at = plain.trim().parse::<NaiveDateTime>();
            let at = at.or_else(|_| NaiveDateTime::parse_from_str(plain.trim(), "%Y-%m-%d %H:%M:%S%.f"));
            let at = at.or_else(|_| DateTime::parse_from_rfc3339(plain.trim()).map(|t| t.naive_utc()));
            let at = at.map_err(|_| "it is no time like 2026-01-31T09:00:00")?;
            (at.and_utc().timestamp_micros() - EPOCH_MS * 1_000).to_be_bytes().to_vec()
        }
        "DATE" => {
            let date = plain.trim().parse::<NaiveDate>().map_err(|_| "it is no date like 2026-01-31")?;
            let days = (date.and_time(NaiveTime::MIN).and_utc().timestamp_millis() - EPOCH_MS) / 86_400_000;
            i32::try_from(days).map_err(fits)?.to_be_bytes().to_vec()
        }
        "TIME" => {
            let time = plain.trim().parse::<NaiveTime>().map_err(|_| "it is no time like 09:00:00")?;
            (time - NaiveTime::MIN).num_microseconds().unwrap_or(0).to_be_bytes().to_vec()
        }
        other => {
            return Err(format!(
                "this type is not known here; write $n::text::{} in the statement",
                other.to_lowercase()
            ));
        }
    })
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// One dimension, lower bound 1.
fn array(inner: &PgTypeInfo, value: &Value) -> std::result::Result<Vec<u8>, String> {
    let items = value.as_array().ok_or("it is no list")?;
    let oid = inner.oid().ok_or("the type of its items is not known")?;
    let count = i32::try_from(items.len()).map_err(|e| e.to_string())?;
    let nulls = i32::from(items.iter().any(Value::is_null));
    let mut out = Vec::new();
    for header in [i32::from(!items.is_empty()), nulls] {
        out.extend_from_slice(&header.to_be_bytes());
    }
    out.extend_from_slice(&oid.0.to_be_bytes());
    if !items.is_empty() {
        out.extend_from_slice(&count.to_be_bytes());
        out.extend_from_slice(&1i32.to_be_bytes());
    }
    for item in items {
        if item.is_null() {
            out.extend_from_slice(&(-1i32).to_be_bytes());
            continue;
        }
        let bytes = encode(inner, item)?;
        out.extend_from_slice(&i32::try_from(bytes.len()).map_err(|e| e.to_string())?.to_be_bytes());
        out.extend_from_slice(&bytes);
    }
    Ok(out)
}

/// `-12.50` as digits to the base of 10,000.
fn numeric(text: &str) -> std::result::Result<Vec<u8>, String> {
    let bad = || "it is no decimal number".to_owned();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| bad())?),
        None => (digits, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all: String = [whole, fraction].concat();
    if all.is_empty() || !all.bytes().all(|b| b.is_ascii_digit()) || exponent.abs() > 1_000 || all.len() > 1_000 {
        return Err(bad());
    }
    // Where the point stands in `all`; zeros are put on either side until it stands between groups of four.
    let point = i32::try_from(whole.len()).map_err(|_| bad())? + exponent;
    let scale = u16::try_from((i32::try_from(all.len()).map_err(|_| bad())? - point).max(0)).map_err(|_| bad())?;
    let lead = usize::try_from((-point).max(0)).map_err(|_| bad())?;
    let padded = format!("{}{all}", "0".repeat(lead));
    let point = usize::try_from(point.max(0)).map_err(|_| bad())?;
    let padded = format!("{padded:0<point$}");
    let front = (4 - point % 4) % 4;
    let padded = format!("{}{padded}", "0".repeat(front));
    let whole_groups = (point + front) / 4;
    let mut groups: Vec<u16> = Vec::new();
    for group in padded.as_bytes().chunks(4) {
        let group = format!("{:0<4}", String::from_utf8_lossy(group));
        groups.push(group.parse().map_err(|_| bad())?);
    }
    let skipped = groups.iter().take_while(|g| **g == 0).count();
    let mut groups = groups.split_off(skipped);
    while groups.last() == Some(&0) {
        groups.pop();
    }
    let weight = i16::try_from(whole_groups).map_err(|_| bad())? - i16::try_from(skipped).map_err(|_| bad())? - 1;
    let weight = if groups.is_empty() { 0 } else { weight };
    let sign: u16 = if negative && !groups.is_empty() { 0x4000 } else { 0 };
    let mut out = Vec::new();
    out.extend_from_slice(&u16::try_from(groups.len()).map_err(|_| bad())?.to_be_bytes());
    out.extend_from_slice(&weight.to_be_bytes());
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&scale.to_be_bytes());
    for group in groups {
        out.extend_from_slice(&group.to_be_bytes());
    }
    Ok(out)
}
