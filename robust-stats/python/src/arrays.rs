//! Arguments from Python: arrays of integers and numbers, names of clients, bytes of fixed length.
//!
//! Arrays come through NumPy itself: the stable ABI of Python has the buffer protocol from 3.11 on only, and
//! `numpy.asarray` also takes lists, tuples and columns of data frames. Arrays are copied, so that other
//! threads may change theirs while a call computes without the interpreter's lock.

use numpy::{
    PyArray1, PyArray2, PyArrayDescrMethods, PyArrayDyn, PyArrayMethods, PyUntypedArray,
    PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use septet_core::seed::SeedTree;

/// Whether an object is a NumPy array of integers.
pub(crate) fn is_integer_array(object: &Bound<'_, PyAny>) -> bool {
    let array = object.cast::<PyUntypedArray>();
    array.is_ok_and(|array| matches!(array.dtype().kind(), b'i' | b'u'))
}

/// An array of integers of any type.
pub(crate) struct Integers {
    /// The values in row-major order; negative ones modulo `2^64`.
    values: Vec<u64>,
    shape: Vec<usize>,
    signed: bool,
}

impl Integers {
    /// Reads an array, or what `numpy.asarray` makes one of. `argument` names it in errors.
    ///
    /// # Errors
    ///
    /// `TypeError` when the elements are no integers.
    pub(crate) fn read(object: &Bound<'_, PyAny>, argument: &str) -> PyResult<Self> {
        let array = object
            .py()
            .import("numpy")?
            .call_method1("asarray", (object,))?;
        let untyped = array.cast::<PyUntypedArray>()?;
        let (kind, shape) = (untyped.dtype().kind(), untyped.shape().to_vec());
        // An empty list has no type of its own.
        if kind != b'i' && kind != b'u' && untyped.len() > 0 {
            let message = format!("{argument}: expected integers, found {}", untyped.dtype());
            return Err(PyTypeError::new_err(message));
        }
        let signed = kind == b'i';
        let wide = array.call_method1("astype", (if signed { "int64" } else { "uint64" },))?;
        let wide = wide.call_method1("view", ("uint64",))?;
        let values = wide.cast::<PyArrayDyn<u64>>()?.readonly();
        Ok(Self {
            values: values.as_array().iter().copied().collect(),
            shape,
            signed,
        })
    }

    /// Reads an array of one dimension.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), and `ValueError` for another number of dimensions.
    pub(crate) fn read_vector(object: &Bound<'_, PyAny>, argument: &str) -> PyResult<Self> {
        let found = Self::read(object, argument)?;
        if found.shape.len() != 1 {
            return Err(wrong_shape(argument, "(n,)", &found.shape));
        }
        Ok(found)
    }

    pub(crate) fn shape(&self) -> &[usize] {
        &self.shape
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// The values, where negative ones are at least `2^63`.
    pub(crate) fn into_values(self) -> Vec<u64> {
        self.values
    }

    /// The values.
    ///
    /// # Errors
    ///
    /// `ValueError` with the position of a value that is negative or at least `limit`; `what` says what the
    /// values are.
    pub(crate) fn below(self, argument: &str, what: &str, limit: u64) -> PyResult<Vec<u64>> {
        let wrong = |&value: &u64| value >= limit || (self.signed && value > i64::MAX as u64);
        let Some(index) = self.values.iter().position(wrong) else {
            return Ok(self.values);
        };
        let value = self.values[index];
        let found = if self.signed {
            value.cast_signed().to_string()
        } else {
            value.to_string()
        };
        Err(PyValueError::new_err(format!(
            "{argument}[{index}]: expected {what} from 0 to {}, found {found}",
            limit.saturating_sub(1)
        )))
    }

    /// The values as counts.
    ///
    /// # Errors
    ///
    /// `ValueError` for a negative count.
    pub(crate) fn counts(self, argument: &str) -> PyResult<Vec<u64>> {
        self.below(argument, "a count", u64::MAX)
    }
}

fn wrong_shape(argument: &str, expected: &str, found: &[usize]) -> PyErr {
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    PyValueError::new_err(format!(
        "{argument}: expected an array of shape {expected}, found ({})",
        found.join(", ")
    ))
}

/// The counts of a matrix of this shape, in row-major order.
///
/// # Errors
///
/// When the shape is another, or an entry is no count.
pub(crate) fn count_matrix(
    object: &Bound<'_, PyAny>,
    argument: &str,
    (rows, columns): (usize, usize),
) -> PyResult<Vec<u64>> {
    let found = Integers::read(object, argument)?;
    if found.shape != [rows, columns] {
        let expected = format!("({rows}, {columns})");
        return Err(wrong_shape(argument, &expected, &found.shape));
    }
    found.counts(argument)
}

/// Numbers of any real type, of one dimension.
///
/// # Errors
///
/// What NumPy raises for other elements, and `ValueError` for another number of dimensions.
pub(crate) fn numbers(object: &Bound<'_, PyAny>, argument: &str) -> PyResult<Vec<f64>> {
    let numpy = object.py().import("numpy")?;
    let array = numpy.call_method1("asarray", (object, "float64"))?;
    let array = array.cast::<PyArrayDyn<f64>>()?;
    if array.ndim() != 1 {
        return Err(wrong_shape(argument, "(n,)", array.shape()));
    }
    Ok(array.readonly().as_array().iter().copied().collect())
}

/// An array for Python.
pub(crate) fn vector<T: numpy::Element>(py: Python<'_>, values: Vec<T>) -> Py<PyArray1<T>> {
    PyArray1::from_vec(py, values).unbind()
}

/// A matrix for Python, from values in row-major order.
///
/// # Errors
///
/// When there are not `rows` equal rows.
pub(crate) fn matrix<T: numpy::Element>(
    py: Python<'_>,
    values: Vec<T>,
    (rows, columns): (usize, usize),
) -> PyResult<Bound<'_, PyArray2<T>>> {
    PyArray1::from_vec(py, values).reshape([rows, columns])
}

/// Names of clients as bytes, one after the other.
pub(crate) struct Names {
    bytes: Vec<u8>,
    /// The end of each name.
    ends: Vec<usize>,
}

impl Names {
    /// Reads an array of integers (names of 8 bytes, little-endian) or a sequence of `str` (in UTF-8),
    /// `bytes` or nonnegative `int`.
    ///
    /// # Errors
    ///
    /// `TypeError` for other elements and `ValueError` for a negative integer.
    pub(crate) fn read(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        if object.is_instance_of::<PyString>() || object.is_instance_of::<PyBytes>() {
            let message = "names: expected a sequence of names, found a single one";
            return Err(PyTypeError::new_err(message));
        }
        let mut names = Self {
            bytes: Vec::new(),
            ends: Vec::new(),
        };
        if is_integer_array(object) {
            let numbers = Integers::read_vector(object, "names")?;
            for number in numbers.below("names", "an integer", u64::MAX)? {
                names.push(&number.to_le_bytes());
            }
            return Ok(names);
        }
        for name in object.try_iter()? {
            let name = name?;
            if let Ok(text) = name.cast::<PyString>() {
                names.push(text.to_cow()?.as_bytes());
            } else if let Ok(bytes) = name.cast::<PyBytes>() {
                names.push(bytes.as_bytes());
            } else {
                let number: u64 = name.extract().map_err(|_| {
                    let position = names.ends.len();
                    let found = name.get_type();
                    PyTypeError::new_err(format!(
                        "names[{position}]: expected bytes, str or an int of 64 bits, found {found}"
                    ))
                })?;
                names.push(&number.to_le_bytes());
            }
        }
        Ok(names)
    }

    fn push(&mut self, name: &[u8]) {
        self.bytes.extend_from_slice(name);
        self.ends.push(self.bytes.len());
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(start, &end)| &self.bytes[start..end])
    }
}

/// Bytes of a fixed length.
///
/// # Errors
///
/// `ValueError` for another length.
pub(crate) fn fixed<const N: usize>(bytes: &[u8], argument: &str) -> PyResult<[u8; N]> {
    bytes.try_into().map_err(|_| {
        PyValueError::new_err(format!(
            "{argument}: expected {N} bytes, found {}",
            bytes.len()
        ))
    })
}

/// The seed of simulated data sets, that of the program `robust-stats`: equal arguments give equal p-values.
pub(crate) fn test_seed(seed: u64) -> SeedTree {
    SeedTree::new(seed).child("robust-stats test")
}
