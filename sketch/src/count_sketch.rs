//! The count-sketch: signed counters, the median of which estimates without bias.
