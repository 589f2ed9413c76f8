//! The IDX format of MNIST and related data sets.

use super::{Images, ImagesError};

/// Why IDX files are invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdxError {
    /// The magic number is wrong.
    #[error("{file}: expected the magic number {expected:#010x}, found {found:#010x}")]
    Magic {
        /// `images` or `labels`.
        file: &'static str,
        /// The expected number.
        expected: u32,
        /// The first four bytes.
        found: u32,
    },
    /// The file has more or fewer bytes than its header says.
    #[error("{file}: expected {expected} bytes by the header, found {found}")]
    Length {
        /// `images` or `labels`.
        file: &'static str,
        /// The length by the header.
        expected: u64,
        /// The length of the file.
        found: usize,
    },
    /// The numbers of images and labels differ.
    #[error("expected one label per image, found {images} images and {labels} labels")]
    Count {
        /// The number of images.
        images: usize,
        /// The number of labels.
        labels: usize,
    },
    /// The images have no pixels.
    #[error(transparent)]
    Images(#[from] ImagesError),
}

/// Reads images and labels from the uncompressed contents of their two files.
///
/// # Errors
///
/// [`IdxError`].
pub fn from_idx(images: &[u8], labels: &[u8]) -> Result<Images, IdxError> {
    // The magic numbers encode unsigned bytes with three and one dimensions.
    let ([_, height, width], pixels) = body::<3>("images", 0x0000_0803, images)?;
    let ([count], labels) = body::<1>("labels", 0x0000_0801, labels)?;
    let images = u32_at(images, 4) as usize;
    if images != count as usize {
        return Err(IdxError::Count {
            images,
            labels: labels.len(),
        });
    }
    let pixels = pixels.iter().map(|&pixel| f32::from(pixel) / 255.0);
    let labels = labels.iter().map(|&label| label.into());
    // Saturates only for huge dimensions without any image, which `Images::new` accepts as empty.
    let width = (height as usize).saturating_mul(width as usize);
    Ok(Images::new(width, pixels.collect(), labels.collect())?)
}

/// The dimensions in the header, and the data after it.
fn body<'a, const N: usize>(
    file: &'static str,
    magic: u32,
    bytes: &'a [u8],
) -> Result<([u32; N], &'a [u8]), IdxError> {
    let header = 4 + 4 * N;
    if bytes.len() < header {
        return Err(IdxError::Length {
            file,
            expected: header as u64,
            found: bytes.len(),
        });
    }
    let found = u32_at(bytes, 0);
    if found != magic {
        return Err(IdxError::Magic {
            file,
            expected: magic,
            found,
        });
    }
    // The file has to be exactly as long as the header says; dimensions may overflow any integer.
    let dimensions: [u32; N] = std::array::from_fn(|i| u32_at(bytes, 4 + 4 * i));
    let product = dimensions
        .iter()
        .try_fold(1_u64, |product, &n| product.checked_mul(n.into()));
    let expected = product
        .and_then(|product| product.checked_add(header as u64))
        .unwrap_or(u64::MAX);
    if expected != bytes.len() as u64 {
        return Err(IdxError::Length {
            file,
            expected,
            found: bytes.len(),
        });
    }
    Ok((dimensions, &bytes[header..]))
}

/// A big-endian integer. The caller has checked the length.
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> (Vec<u8>, Vec<u8>) {
        let mut images = vec![0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 1];
        images.extend([0, 255, 51, 102]);
        let mut labels = vec![0, 0, 8, 1, 0, 0, 0, 2];
        labels.extend([7, 3]);
        (images, labels)
    }

    #[test]
    fn pixels_and_labels_are_read() {
        let (images, labels) = files();
        let read = from_idx(&images, &labels).unwrap();
        assert_eq!((read.len(), read.width()), (2, 2));
        assert_eq!(read.labels(), [7, 3]);
        assert_eq!(read.image(0), [0.0, 1.0]);
        assert_eq!(read.image(1), [0.2, 0.4]);
        assert!(read.image(2).is_empty());
    }

    #[test]
    fn damaged_files_are_refused() {
        let (images, labels) = files();
        for end in 0..images.len() {
            assert!(from_idx(&images[..end], &labels).is_err());
        }
        for end in 0..labels.len() {
            assert!(from_idx(&images, &labels[..end]).is_err());
        }
        let mut long = images.clone();
        long.push(0);
        assert!(matches!(
            from_idx(&long, &labels),
            Err(IdxError::Length { .. })
        ));
        let mut magic = images.clone();
        magic[3] = 1;
        assert!(matches!(
            from_idx(&magic, &labels),
            Err(IdxError::Magic { .. })
        ));
        // Dimensions whose product is beyond all bounds.
        let mut huge = images.clone();
        huge[4..16].fill(0xff);
        assert!(matches!(
            from_idx(&huge, &labels),
            Err(IdxError::Length { .. })
        ));
        let one = [0, 0, 8, 1, 0, 0, 0, 1, 7];
        assert!(matches!(
            from_idx(&images, &one),
            Err(IdxError::Count { .. })
        ));
    }
}
