//! Converts between PostgreSQL's values and those of `spin:postgres`.
//!
//! Owns which value may stand for which SQL type: the same pairs as in Spin, so
//! that a statement which runs here runs there.

use anyhow::{Context, Result, anyhow, bail};
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, Timelike, Utc};
use rust_decimal::Decimal;
use sqlx::postgres::types::{PgInterval, PgRange};
use sqlx::postgres::{PgArguments, PgRow, PgTypeInfo};
use sqlx::types::Json;
use sqlx::{Arguments, Column as _, Decode, Postgres, Row as _, TypeInfo, ValueRef};
use std::ops::Bound;
use uuid::Uuid;

use crate::spin_host::bindings::spin::postgres::postgres::{
    Column, DbDataType, DbValue, Error, Interval, ParameterValue, RangeBoundKind, Row,
};

/// Object ids of PostgreSQL's built-in types (`pg_type.dat`).
mod oid {
    pub const BOOL: u32 = 16;
    pub const BYTEA: u32 = 17;
    pub const CHAR: u32 = 18;
    pub const NAME: u32 = 19;
    pub const INT8: u32 = 20;
    pub const INT2: u32 = 21;
    pub const INT4: u32 = 23;
    pub const TEXT: u32 = 25;
    pub const JSON: u32 = 114;
    pub const FLOAT4: u32 = 700;
    pub const FLOAT8: u32 = 701;
    pub const UNKNOWN: u32 = 705;
    pub const INT4_ARRAY: u32 = 1007;
    pub const TEXT_ARRAY: u32 = 1009;
    pub const BPCHAR_ARRAY: u32 = 1014;
    pub const VARCHAR_ARRAY: u32 = 1015;
    pub const INT8_ARRAY: u32 = 1016;
    pub const BPCHAR: u32 = 1042;
    pub const VARCHAR: u32 = 1043;
    pub const DATE: u32 = 1082;
    pub const TIME: u32 = 1083;
    pub const TIMESTAMP: u32 = 1114;
    pub const TIMESTAMPTZ: u32 = 1184;
    pub const INTERVAL: u32 = 1186;
    pub const NUMERIC_ARRAY: u32 = 1231;
    pub const NUMERIC: u32 = 1700;
    pub const UUID: u32 = 2950;
    pub const JSONB: u32 = 3802;
    pub const INT4_RANGE: u32 = 3904;
    pub const NUM_RANGE: u32 = 3906;
    pub const INT8_RANGE: u32 = 3926;
}

fn oid_of(type_info: &PgTypeInfo) -> u32 {
    type_info.oid().map_or(0, |oid| oid.0)
}

/// Encodes values as the types the server expects.
pub fn encode_parameters(
    parameters: Vec<ParameterValue>,
    types: &[PgTypeInfo],
) -> Result<PgArguments, Error> {
    let mut arguments = PgArguments::default();
    for (index, (value, type_info)) in parameters.into_iter().zip(types).enumerate() {
        if !fits(&value, type_info) {
            return Err(Error::QueryFailed(
                crate::spin_host::bindings::spin::postgres::postgres::QueryError::Text(format!(
                    "error serializing parameter {index}: a value of this kind cannot be \
                     converted to the type `{}`",
                    type_info.name().to_ascii_lowercase()
                )),
            ));
        }
        encode(&mut arguments, value)
            .map_err(|error| Error::BadParameter(format!("parameter {index}: {error:#}")))?;
    }
    Ok(arguments)
}

fn fits(value: &ParameterValue, type_info: &PgTypeInfo) -> bool {
    let oids: &[u32] = match value {
        ParameterValue::DbNull => return true,
        ParameterValue::Boolean(_) => &[oid::BOOL],
        ParameterValue::Int8(_) => &[oid::CHAR],
        ParameterValue::Int16(_) => &[oid::INT2],
        ParameterValue::Int32(_) => &[oid::INT4],
        ParameterValue::Int64(_) => &[oid::INT8],
        ParameterValue::Floating32(_) => &[oid::FLOAT4],
        ParameterValue::Floating64(_) => &[oid::FLOAT8],
        ParameterValue::Str(_) => {
            if type_info.name() == "citext" {
                return true;
            }
            &[
                oid::TEXT,
                oid::VARCHAR,
                oid::BPCHAR,
                oid::NAME,
                oid::UNKNOWN,
            ]
        }
        ParameterValue::Binary(_) => &[oid::BYTEA],
        ParameterValue::Date(_) => &[oid::DATE],
        ParameterValue::Time(_) => &[oid::TIME],
        ParameterValue::Datetime(_) => &[oid::TIMESTAMP],
        ParameterValue::Timestamp(_) => &[oid::TIMESTAMPTZ],
        ParameterValue::Uuid(_) => &[oid::UUID],
        ParameterValue::Jsonb(_) => &[oid::JSON, oid::JSONB],
        ParameterValue::Decimal(_) => &[oid::NUMERIC],
        ParameterValue::RangeInt32(_) => &[oid::INT4_RANGE],
        ParameterValue::RangeInt64(_) => &[oid::INT8_RANGE],
        ParameterValue::RangeDecimal(_) => &[oid::NUM_RANGE],
        ParameterValue::ArrayInt32(_) => &[oid::INT4_ARRAY],
        ParameterValue::ArrayInt64(_) => &[oid::INT8_ARRAY],
        ParameterValue::ArrayDecimal(_) => &[oid::NUMERIC_ARRAY],
        ParameterValue::ArrayStr(_) => &[oid::TEXT_ARRAY, oid::VARCHAR_ARRAY, oid::BPCHAR_ARRAY],
        ParameterValue::Interval(_) => &[oid::INTERVAL],
    };
    oids.contains(&oid_of(type_info))
}

fn encode(arguments: &mut PgArguments, value: ParameterValue) -> Result<()> {
    let added = match value {
        ParameterValue::Boolean(value) => arguments.add(value),
        ParameterValue::Int8(value) => arguments.add(value),
        ParameterValue::Int16(value) => arguments.add(value),
        ParameterValue::Int32(value) => arguments.add(value),
        ParameterValue::Int64(value) => arguments.add(value),
        ParameterValue::Floating32(value) => arguments.add(value),
        ParameterValue::Floating64(value) => arguments.add(value),
        ParameterValue::Str(value) => arguments.add(value),
        ParameterValue::Binary(value) => arguments.add(value),
        ParameterValue::Date(date) => arguments.add(to_date(date)?),
        ParameterValue::Time(time) => arguments.add(to_time(time)?),
        ParameterValue::Datetime((year, month, day, hour, minute, second, nanosecond)) => arguments
            .add(NaiveDateTime::new(
                to_date((year, month, day))?,
                to_time((hour, minute, second, nanosecond))?,
            )),
        ParameterValue::Timestamp(seconds) => arguments.add(
            DateTime::<Utc>::from_timestamp(seconds, 0)
                .with_context(|| format!("invalid epoch timestamp {seconds}"))?,
        ),
        ParameterValue::Uuid(text) => {
            arguments.add(Uuid::parse_str(&text).with_context(|| format!("invalid UUID {text}"))?)
        }
        ParameterValue::Jsonb(bytes) => arguments.add(Json(
            serde_json::from_slice::<serde_json::Value>(&bytes).context("invalid JSON")?,
        )),
        ParameterValue::Decimal(text) => arguments.add(to_decimal(&text)?),
        ParameterValue::RangeInt32((lower, upper)) => arguments.add(PgRange {
            start: to_bound(lower),
            end: to_bound(upper),
        }),
        ParameterValue::RangeInt64((lower, upper)) => arguments.add(PgRange {
            start: to_bound(lower),
            end: to_bound(upper),
        }),
        ParameterValue::RangeDecimal((lower, upper)) => {
            let decimal =
                |(text, kind): (String, RangeBoundKind)| anyhow::Ok((to_decimal(&text)?, kind));
            arguments.add(PgRange {
                start: to_bound(lower.map(decimal).transpose()?),
                end: to_bound(upper.map(decimal).transpose()?),
            })
        }
        ParameterValue::ArrayInt32(values) => arguments.add(values),
        ParameterValue::ArrayInt64(values) => arguments.add(values),
        ParameterValue::ArrayDecimal(values) => arguments.add(
            values
                .into_iter()
                .map(|value| value.map(|text| to_decimal(&text)).transpose())
                .collect::<Result<Vec<_>>>()?,
        ),
        ParameterValue::ArrayStr(values) => arguments.add(values),
        ParameterValue::Interval(interval) => arguments.add(PgInterval {
            months: interval.months,
            days: interval.days,
            microseconds: interval.micros,
        }),
        ParameterValue::DbNull => arguments.add(Option::<String>::None),
    };
    added.map_err(|error| anyhow!(error))
}

fn to_date((year, month, day): (i32, u8, u8)) -> Result<NaiveDate> {
    NaiveDate::from_ymd_opt(year, month.into(), day.into())
        .with_context(|| format!("invalid date y={year}, m={month}, d={day}"))
}

fn to_time((hour, minute, second, nanosecond): (u8, u8, u8, u32)) -> Result<NaiveTime> {
    NaiveTime::from_hms_nano_opt(hour.into(), minute.into(), second.into(), nanosecond)
        .with_context(|| format!("invalid time {hour}:{minute}:{second}:{nanosecond}"))
}

fn to_decimal(text: &str) -> Result<Decimal> {
    Decimal::from_str_exact(text).with_context(|| format!("invalid decimal {text}"))
}

fn to_bound<T>(bound: Option<(T, RangeBoundKind)>) -> Bound<T> {
    match bound {
        None => Bound::Unbounded,
        Some((value, RangeBoundKind::Inclusive)) => Bound::Included(value),
        Some((value, RangeBoundKind::Exclusive)) => Bound::Excluded(value),
    }
}

fn from_bound<T, U>(bound: Bound<T>, convert: impl Fn(T) -> U) -> Option<(U, RangeBoundKind)> {
    match bound {
        Bound::Unbounded => None,
        Bound::Included(value) => Some((convert(value), RangeBoundKind::Inclusive)),
        Bound::Excluded(value) => Some((convert(value), RangeBoundKind::Exclusive)),
    }
}

pub fn describe_columns(row: &PgRow) -> Vec<Column> {
    row.columns()
        .iter()
        .map(|column| Column {
            name: column.name().to_owned(),
            data_type: data_type(column.type_info()),
        })
        .collect()
}

fn data_type(type_info: &PgTypeInfo) -> DbDataType {
    match oid_of(type_info) {
        oid::BOOL => DbDataType::Boolean,
        oid::BYTEA => DbDataType::Binary,
        oid::FLOAT4 => DbDataType::Floating32,
        oid::FLOAT8 => DbDataType::Floating64,
        oid::INT2 => DbDataType::Int16,
        oid::INT4 => DbDataType::Int32,
        oid::INT8 => DbDataType::Int64,
        oid::TEXT | oid::VARCHAR | oid::BPCHAR => DbDataType::Str,
        oid::TIMESTAMP | oid::TIMESTAMPTZ => DbDataType::Datetime,
        oid::DATE => DbDataType::Date,
        oid::TIME => DbDataType::Time,
        oid::UUID => DbDataType::Uuid,
        oid::JSONB => DbDataType::Jsonb,
        oid::NUMERIC => DbDataType::Decimal,
        oid::INT4_RANGE => DbDataType::RangeInt32,
        oid::INT8_RANGE => DbDataType::RangeInt64,
        oid::NUM_RANGE => DbDataType::RangeDecimal,
        oid::INT4_ARRAY => DbDataType::ArrayInt32,
        oid::INT8_ARRAY => DbDataType::ArrayInt64,
        oid::NUMERIC_ARRAY => DbDataType::ArrayDecimal,
        oid::TEXT_ARRAY | oid::VARCHAR_ARRAY | oid::BPCHAR_ARRAY => DbDataType::ArrayStr,
        oid::INTERVAL => DbDataType::Interval,
        _ => DbDataType::Other(type_info.name().to_ascii_lowercase()),
    }
}

pub fn convert_row(row: &PgRow) -> Result<Row> {
    (0..row.len())
        .map(|index| convert_value(row, index))
        .collect()
}

fn convert_value(row: &PgRow, index: usize) -> Result<DbValue> {
    let value = row.try_get_raw(index)?;
    if value.is_null() {
        return Ok(DbValue::DbNull);
    }
    fn decode<'r, T: Decode<'r, Postgres>>(value: sqlx::postgres::PgValueRef<'r>) -> Result<T> {
        T::decode(value).map_err(|error| anyhow!(error))
    }
    let oid = oid_of(&value.type_info());
    Ok(match oid {
        oid::BOOL => DbValue::Boolean(decode(value)?),
        oid::BYTEA => DbValue::Binary(decode(value)?),
        oid::FLOAT4 => DbValue::Floating32(decode(value)?),
        oid::FLOAT8 => DbValue::Floating64(decode(value)?),
        oid::INT2 => DbValue::Int16(decode(value)?),
        oid::INT4 => DbValue::Int32(decode(value)?),
        oid::INT8 => DbValue::Int64(decode(value)?),
        oid::TEXT | oid::VARCHAR | oid::BPCHAR => DbValue::Str(decode(value)?),
        oid::TIMESTAMP => from_datetime(decode(value)?)?,
        oid::TIMESTAMPTZ => bail!(
            "column {index} is a timestamp with time zone, which Spin cannot read; \
             select it AT TIME ZONE 'UTC'"
        ),
        oid::DATE => {
            let date: NaiveDate = decode(value)?;
            DbValue::Date((
                date.year(),
                date.month().try_into()?,
                date.day().try_into()?,
            ))
        }
        oid::TIME => {
            let time: NaiveTime = decode(value)?;
            DbValue::Time((
                time.hour().try_into()?,
                time.minute().try_into()?,
                time.second().try_into()?,
                time.nanosecond(),
            ))
        }
        oid::UUID => DbValue::Uuid(decode::<Uuid>(value)?.to_string()),
        oid::JSONB => DbValue::Jsonb(serde_json::to_vec(
            &decode::<Json<serde_json::Value>>(value)?.0,
        )?),
        oid::NUMERIC => DbValue::Decimal(decode::<Decimal>(value)?.to_string()),
        oid::INT4_RANGE => {
            let range: PgRange<i32> = decode(value)?;
            DbValue::RangeInt32((from_bound(range.start, |v| v), from_bound(range.end, |v| v)))
        }
        oid::INT8_RANGE => {
            let range: PgRange<i64> = decode(value)?;
            DbValue::RangeInt64((from_bound(range.start, |v| v), from_bound(range.end, |v| v)))
        }
        oid::NUM_RANGE => {
            let range: PgRange<Decimal> = decode(value)?;
            let text = |decimal: Decimal| decimal.to_string();
            DbValue::RangeDecimal((from_bound(range.start, text), from_bound(range.end, text)))
        }
        oid::INT4_ARRAY => DbValue::ArrayInt32(decode(value)?),
        oid::INT8_ARRAY => DbValue::ArrayInt64(decode(value)?),
        oid::NUMERIC_ARRAY => DbValue::ArrayDecimal(
            decode::<Vec<Option<Decimal>>>(value)?
                .into_iter()
                .map(|decimal| decimal.map(|decimal| decimal.to_string()))
                .collect(),
        ),
        oid::TEXT_ARRAY | oid::VARCHAR_ARRAY | oid::BPCHAR_ARRAY => {
            DbValue::ArrayStr(decode(value)?)
        }
        oid::INTERVAL => {
            let interval: PgInterval = decode(value)?;
            DbValue::Interval(Interval {
                micros: interval.microseconds,
                days: interval.days,
                months: interval.months,
            })
        }
        _ => DbValue::Unsupported(value.as_bytes().map_err(|error| anyhow!(error))?.to_vec()),
    })
}

fn from_datetime(value: NaiveDateTime) -> Result<DbValue> {
    Ok(DbValue::Datetime((
        value.year(),
        value.month().try_into()?,
        value.day().try_into()?,
        value.hour().try_into()?,
        value.minute().try_into()?,
        value.second().try_into()?,
        value.nanosecond(),
    )))
}

/// About how much memory a value takes, for the limit on results.
pub fn size_of_value(value: &DbValue) -> usize {
    let text = |value: &Option<String>| {
        size_of::<Option<String>>() + value.as_ref().map_or(0, String::len)
    };
    size_of::<DbValue>()
        + match value {
            DbValue::Str(text) | DbValue::Uuid(text) | DbValue::Decimal(text) => text.len(),
            DbValue::Jsonb(bytes) | DbValue::Binary(bytes) | DbValue::Unsupported(bytes) => {
                bytes.len()
            }
            DbValue::ArrayInt32(values) => values.len() * size_of::<Option<i32>>(),
            DbValue::ArrayInt64(values) => values.len() * size_of::<Option<i64>>(),
            DbValue::ArrayDecimal(values) | DbValue::ArrayStr(values) => {
                values.iter().map(text).sum()
            }
            _ => 0,
        }
}
