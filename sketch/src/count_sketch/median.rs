//! The median of a few numbers.

/// The median; of an even number of values the mean of the middle two. Sorts the numbers, of which
/// there is at least one.
#[inline]
pub(super) fn median(numbers: &mut [i64]) -> f64 {
    // Insertion sort: the depth is at most 16, and mostly 3 or 5.
    for end in 1..numbers.len() {
        let mut place = end;
        while place > 0 && numbers[place - 1] > numbers[place] {
            numbers.swap(place - 1, place);
            place -= 1;
        }
    }
    let (low, high) = (numbers[(numbers.len() - 1) / 2], numbers[numbers.len() / 2]);
    f64::midpoint(low as f64, high as f64)
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_middle_is_found() {
        assert_eq!(median(&mut [5]), 5.0);
        assert_eq!(median(&mut [5, -2]), 1.5);
        assert_eq!(median(&mut [9, -2, 4]), 4.0);
        assert_eq!(median(&mut [9, -2, 4, 5]), 4.5);
    }
}
