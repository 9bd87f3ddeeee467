//! What sqlx does not show of a statement, read from SQLite itself.
//!
//! Spin runs only the first statement of a string, binds parameters by
//! position whatever they are called, and knows the columns before the first
//! row. sqlx runs all statements, binds `$2` by its number, and shows columns
//! with rows. Examining the statement first makes both behave alike. All unsafe
//! code of the crate's SQLite side stands here.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use libsqlite3_sys as ffi;
use sqlx::Arguments;
use sqlx::sqlite::{LockedSqliteHandle, SqliteArguments};

use crate::spin_host::bindings::spin::sqlite::sqlite::Value;

/// The first statement of a string of SQL.
#[derive(Debug, PartialEq, Eq)]
pub struct Statement {
    pub sql: String,
    pub columns: Vec<String>,
    /// The name of each parameter, `None` for a plain `?`.
    parameters: Vec<Option<String>>,
}

impl Statement {
    /// Prepares the first statement of `sql` and notes its shape. The error is
    /// worded as Spin words it.
    pub fn examine(handle: &mut LockedSqliteHandle<'_>, sql: &str) -> Result<Self, String> {
        let database = handle.as_raw_handle().as_ptr();
        let length = c_int::try_from(sql.len()).map_err(|_| "string or blob too big".to_owned())?;
        let mut raw = ptr::null_mut();
        let mut tail: *const c_char = ptr::null();
        // SAFETY: the locked handle is a live connection that no other thread
        // uses; `sql` outlives the call and its length is passed.
        let code = unsafe {
            ffi::sqlite3_prepare_v2(database, sql.as_ptr().cast(), length, &mut raw, &mut tail)
        };
        if code != ffi::SQLITE_OK {
            return Err(prepare_error(database, code, sql));
        }
        let prepared = Prepared(raw);
        // SAFETY: SQLite points `tail` into `sql`, or to its end.
        let used = unsafe { tail.offset_from(sql.as_ptr().cast()) };
        let used = usize::try_from(used).unwrap_or(sql.len()).min(sql.len());
        Ok(Self {
            sql: sql.get(..used).unwrap_or(sql).to_owned(),
            columns: prepared.columns(),
            parameters: prepared.parameters(),
        })
    }

    /// Puts positional values where sqlx will look for them: it binds `?` in
    /// turn and `?3` or `$3` by that number, Spin binds all by position.
    pub fn bind(&self, values: Vec<Value>) -> Result<SqliteArguments, String> {
        if values.len() != self.parameters.len() {
            return Err(format!(
                "Wrong number of parameters passed to query. Got {}, needed {}",
                values.len(),
                self.parameters.len()
            ));
        }
        let mut places: Vec<Value> = Vec::new();
        let mut next = 0;
        for (value, name) in values.into_iter().zip(&self.parameters) {
            let place = match name {
                None => {
                    next += 1;
                    next - 1
                }
                Some(name) => numbered_place(name)?,
            };
            if places.len() <= place {
                places.resize_with(place + 1, || Value::Null);
            }
            if let Some(slot) = places.get_mut(place) {
                *slot = value;
            }
        }
        let mut arguments = SqliteArguments::default();
        for value in places {
            match value {
                Value::Integer(integer) => arguments.add(integer),
                Value::Real(real) => arguments.add(real),
                Value::Text(text) => arguments.add(text),
                Value::Blob(blob) => arguments.add(blob),
                Value::Null => arguments.add(Option::<i64>::None),
            }
            .map_err(|error| error.to_string())?;
        }
        Ok(arguments)
    }
}

fn numbered_place(name: &str) -> Result<usize, String> {
    name.strip_prefix(['?', '$'])
        .and_then(|digits| digits.parse::<u16>().ok())
        .and_then(|number| usize::from(number).checked_sub(1))
        .ok_or_else(|| format!("the parameter {name:?} must be written ?, ?1 or $1"))
}

/// A prepared statement that is finalised when it goes.
struct Prepared(*mut ffi::sqlite3_stmt);

impl Prepared {
    fn columns(&self) -> Vec<String> {
        // SAFETY: the statement is live (or null, for which SQLite answers 0),
        // and a name is valid until the next call that concerns this column.
        unsafe {
            (0..ffi::sqlite3_column_count(self.0))
                .map(|index| text(ffi::sqlite3_column_name(self.0, index)).unwrap_or_default())
                .collect()
        }
    }

    fn parameters(&self) -> Vec<Option<String>> {
        // SAFETY: as above; parameters are numbered from 1.
        unsafe {
            (1..=ffi::sqlite3_bind_parameter_count(self.0))
                .map(|index| text(ffi::sqlite3_bind_parameter_name(self.0, index)))
                .collect()
        }
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        // SAFETY: the statement came from SQLite and is finalised once.
        unsafe { ffi::sqlite3_finalize(self.0) };
    }
}

/// Copies a C string; `None` for a null pointer.
///
/// # Safety
/// `pointer` must be null or point to a string that ends in a zero byte.
unsafe fn text(pointer: *const c_char) -> Option<String> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: the caller vouches for the string.
    Some(
        unsafe { CStr::from_ptr(pointer) }
            .to_string_lossy()
            .into_owned(),
    )
}

fn prepare_error(database: *mut ffi::sqlite3, code: c_int, sql: &str) -> String {
    // SAFETY: the connection is live and its last call was the failed one.
    let (message, offset) = unsafe {
        (
            text(ffi::sqlite3_errmsg(database)).unwrap_or_default(),
            ffi::sqlite3_error_offset(database),
        )
    };
    if code == ffi::SQLITE_ERROR && offset >= 0 {
        format!("{message} in {sql} at offset {offset}")
    } else {
        message
    }
}

pub fn last_insert_rowid(handle: &mut LockedSqliteHandle<'_>) -> i64 {
    // SAFETY: the locked handle is a live connection.
    unsafe { ffi::sqlite3_last_insert_rowid(handle.as_raw_handle().as_ptr()) }
}

pub fn changes(handle: &mut LockedSqliteHandle<'_>) -> u64 {
    // SAFETY: the locked handle is a live connection.
    let changes = unsafe { ffi::sqlite3_changes64(handle.as_raw_handle().as_ptr()) };
    u64::try_from(changes).unwrap_or_default()
}

/// Whether a transaction is open.
pub fn in_transaction(handle: &mut LockedSqliteHandle<'_>) -> bool {
    // SAFETY: the locked handle is a live connection.
    unsafe { ffi::sqlite3_get_autocommit(handle.as_raw_handle().as_ptr()) == 0 }
}

/// Keeps a component inside its database, as Spin does: ATTACH may open
/// temporary and in-memory databases only.
pub fn forbid_attaching_files(handle: &mut LockedSqliteHandle<'_>) {
    // SAFETY: the callback is a plain function and uses no user data.
    unsafe {
        ffi::sqlite3_set_authorizer(
            handle.as_raw_handle().as_ptr(),
            Some(authorise),
            ptr::null_mut(),
        );
    }
}

unsafe extern "C" fn authorise(
    _user_data: *mut c_void,
    action: c_int,
    first: *const c_char,
    _second: *const c_char,
    _database: *const c_char,
    _trigger: *const c_char,
) -> c_int {
    if action != ffi::SQLITE_ATTACH {
        return ffi::SQLITE_OK;
    }
    // SAFETY: SQLite passes a string that ends in a zero byte, or null when the
    // file name is computed, which is refused too.
    match unsafe { text(first) }.as_deref() {
        Some("" | ":memory:") => ffi::SQLITE_OK,
        _ => ffi::SQLITE_DENY,
    }
}
