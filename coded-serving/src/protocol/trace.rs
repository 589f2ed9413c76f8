//! W3C Trace Context.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

/// The header `traceparent`: the trace of a request, and the span that sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    trace: u128,
    span: u64,
    flags: u8,
}

/// A string is not a valid `traceparent`. Such a header is ignored, as the standard requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected `00-<32 hexadecimal digits>-<16>-<2>`, with non-zero ids")]
pub struct TraceError;

impl TraceParent {
    /// The header for an outgoing request: the same trace, a new span.
    #[must_use]
    pub fn child(self) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        // Span ids need to be unique, not unpredictable; zero is invalid.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let span = RandomState::new().hash_one((self.span, number)).max(1);
        Self { span, ..self }
    }

    /// The trace id.
    #[must_use]
    pub fn trace(self) -> u128 {
        self.trace
    }
}

impl FromStr for TraceParent {
    type Err = TraceError;

    fn from_str(text: &str) -> Result<Self, TraceError> {
        let parts: Vec<&str> = text.split('-').collect();
        // Lower-case digits only, and no sign, which `from_str_radix` would accept.
        let hexadecimal = |part: &str, digits: usize| {
            let fits = part.len() == digits
                && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            fits.then(|| u128::from_str_radix(part, 16).ok()).flatten()
        };
        let [version, trace, span, flags, rest @ ..] = parts.as_slice() else {
            return Err(TraceError);
        };
        // Later versions may append fields; version 255 is invalid (section "Versioning").
        let known = hexadecimal(version, 2).filter(|&v| v < 255 && (v > 0 || rest.is_empty()));
        let (Some(_), Some(trace), Some(span), Some(flags)) = (
            known,
            hexadecimal(trace, 32),
            hexadecimal(span, 16),
            hexadecimal(flags, 2),
        ) else {
            return Err(TraceError);
        };
        let (Ok(span), Ok(flags)) = (u64::try_from(span), u8::try_from(flags)) else {
            return Err(TraceError);
        };
        if trace == 0 || span == 0 {
            return Err(TraceError);
        }
        Ok(Self { trace, span, flags })
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "00-{:032x}-{:016x}-{:02x}",
            self.trace, self.span, self.flags
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_stays_in_its_trace() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let parent: TraceParent = text.parse().unwrap();
        assert_eq!(parent.to_string(), text);
        let (first, second) = (parent.child(), parent.child());
        assert_eq!(first.trace(), parent.trace());
        assert_ne!(first, second);
        assert_eq!(first.to_string().parse(), Ok(first));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "00",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(text.parse::<TraceParent>(), Err(TraceError), "{text}");
        }
        assert!(
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x"
                .parse::<TraceParent>()
                .is_ok()
        );
    }
}
