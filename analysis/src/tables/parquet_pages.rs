//! What the pages of a Parquet file claim, looked at before the engine believes it: it allocates for as many values as a
//! page names, and a number that is negative or beyond the memory ends the program.
//!
//! A page begins with a `PageHeader` in Thrift's compact protocol (parquet-format, `parquet.thrift`). It is read by the
//! crate that the engine reads it by, so that both see the same numbers.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;

use polars_parquet_format::thrift::protocol::TCompactInputProtocol;
use polars_parquet_format::{PageHeader, PageType};

/// Values of a column in one row group. Writers have a million rows in a group or fewer; so many texts take a gigabyte
/// before their letters are counted.
pub(super) const MOST_VALUES: u64 = 1 << 26;

/// Bytes of a page once it is unpacked.
const MOST_PAGE_BYTES: i32 = 1 << 30;

/// Bytes of a page's header; statistics are texts in it.
const MOST_HEADER_BYTES: usize = 16 << 20;

/// Where the pages of a column lie, and how many values they hold together.
#[derive(Clone, Debug)]
pub(super) struct ColumnPages {
    /// Bytes of the file.
    pub bytes: Range<u64>,
    /// By the footer.
    pub values: u64,
}

/// Refuses pages that claim what cannot be.
///
/// # Errors
/// A sentence's end on the first of them; what the system says of the file.
pub(super) fn check_pages(file: &File, column: &ColumnPages) -> io::Result<()> {
    if column.values > MOST_VALUES {
        return wrong(&format!(
            "a row group has {} values of a column; at most {MOST_VALUES} are read",
            column.values
        ));
    }
    let mut reader = BufReader::new(file);
    let (mut at, mut values) = (column.bytes.start, 0);
    while at < column.bytes.end && values < column.values {
        reader.seek(SeekFrom::Start(at))?;
        let mut bytes = reader.by_ref().take(column.bytes.end - at);
        let mut thrift = TCompactInputProtocol::new(&mut bytes, MOST_HEADER_BYTES);
        let header = PageHeader::read_from_in_protocol(&mut thrift).map_err(|error| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a page has no header that can be read ({error})"),
            )
        })?;
        let header_bytes = column.bytes.end - at - bytes.limit();
        let packed = u64::try_from(header.compressed_page_size);
        let is_inside = packed.is_ok_and(|packed| packed <= column.bytes.end - at - header_bytes);
        if !is_inside || !(0..=MOST_PAGE_BYTES).contains(&header.uncompressed_page_size) {
            return wrong("a page claims more bytes than there are");
        }
        let is_at_most =
            |count: i32, most: u64| u64::try_from(count).is_ok_and(|count| count <= most);
        let left = column.values - values;
        let mut dictionary = header.dictionary_page_header.iter();
        // nulls and rows are among the values
        if !data_counts(&header).all(|count| is_at_most(count, left))
            || !dictionary.all(|page| is_at_most(page.num_values, MOST_VALUES))
        {
            return wrong("a page claims more values than its column has");
        }
        values += values_of(&header);
        at += header_bytes + packed.unwrap_or(0);
    }
    match values == column.values {
        true => Ok(()),
        false => wrong("the pages of a column have fewer values than its footer says"),
    }
}

fn wrong<T>(problem: &str) -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::InvalidData, problem))
}

/// Values, nulls and rows that a header claims of data: of both versions, as a damaged one may have both.
fn data_counts(header: &PageHeader) -> impl Iterator<Item = i32> {
    let first = header.data_page_header.iter().map(|page| page.num_values);
    let second = header.data_page_header_v2.iter();
    first.chain(second.flat_map(|page| [page.num_values, page.num_nulls, page.num_rows]))
}

/// Values of its column in a page, as the engine counts them: by the page's type.
fn values_of(header: &PageHeader) -> u64 {
    let values = match header.type_ {
        PageType::DATA_PAGE => header.data_page_header.as_ref().map(|page| page.num_values),
        PageType::DATA_PAGE_V2 => header
            .data_page_header_v2
            .as_ref()
            .map(|page| page.num_values),
        _ => None,
    };
    values.map_or(0, |values| u64::from(values.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], values: u64) -> Result<(), String> {
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, bytes).unwrap();
        let column = ColumnPages {
            bytes: 0..bytes.len() as u64,
            values,
        };
        check_pages(&file, &column).map_err(|error| error.to_string())
    }

    /// By hand from parquet.thrift: a data page (type 0) of 3 bytes, unpacked 3, with so many values.
    fn page(values: u8) -> Vec<u8> {
        let mut page = vec![
            0x15, 0, 0x15, 6, 0x15, 6, 0x2C, 0x15, values, 0x15, 0, 0x15, 6, 0x15, 6, 0, 0,
        ];
        page.extend([1, 2, 3]);
        page
    }

    #[test]
    fn pages_are_as_many_values_as_their_column() {
        // zigzag: 4 is 2, 6 is 3
        assert_eq!(check(&[page(4), page(6)].concat(), 5), Ok(()));
        let problem = |bytes: &[u8], values| check(bytes, values).unwrap_err();
        assert!(problem(&page(4), 3).contains("fewer values"));
        assert!(problem(&page(8), 3).contains("more values"));
        // 5 is -3
        assert!(problem(&page(5), 3).contains("more values"));
        assert!(problem(&page(4), u64::MAX).contains("at most"));
        assert!(problem(&page(4)[..18], 2).contains("more bytes"));
        assert!(check(&page(4)[..9], 2).is_err(), "the header is cut off");
        assert!(problem(&[0x1B, 0], 2).contains("no header"));
        assert!(check(&[0xFF; 40], 2).is_err());
    }
}
