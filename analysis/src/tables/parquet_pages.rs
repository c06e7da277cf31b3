//! What the pages of a Parquet file claim, looked at before the engine believes it: it allocates for as many values as a
//! page names, and a number that is negative or beyond the memory ends the program.
//!
//! A page begins with a `PageHeader` in Thrift's compact protocol (parquet-format, `parquet.thrift`).

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;

/// Values of a column in one row group. Writers have a million rows in a group or fewer; so many texts take a gigabyte
/// before their letters are counted.
pub(super) const MOST_VALUES: u64 = 1 << 26;

/// Bytes of a page once it is unpacked.
const MOST_PAGE_BYTES: i64 = 1 << 30;

/// How deep a header may nest; its own depth is three.
const DEEPEST: usize = 8;

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
        let header = PageHeader::read(&mut Thrift { bytes: &mut bytes })?;
        let header_bytes = column.bytes.end - at - bytes.limit();
        let packed = u64::try_from(header.packed_bytes);
        let is_inside = packed.is_ok_and(|packed| packed <= column.bytes.end - at - header_bytes);
        if !is_inside || !(0..=MOST_PAGE_BYTES).contains(&header.unpacked_bytes) {
            return wrong("a page claims more bytes than there are");
        }
        // nulls and rows are among the values
        let most = match header.is_dictionary {
            true => i64::try_from(MOST_VALUES).unwrap_or(i64::MAX),
            false => i64::try_from(column.values - values).unwrap_or(i64::MAX),
        };
        if header
            .counts
            .iter()
            .any(|count| !(0..=most).contains(count))
        {
            return wrong("a page claims more values than its column has");
        }
        if !header.is_dictionary {
            values += header
                .counts
                .first()
                .map_or(0, |count| count.unsigned_abs());
        }
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

/// What matters of a header.
#[derive(Debug, Default)]
struct PageHeader {
    unpacked_bytes: i64,
    packed_bytes: i64,
    is_dictionary: bool,
    /// Values first; then, of the second version, nulls and rows.
    counts: Vec<i64>,
}

impl PageHeader {
    fn read(thrift: &mut Thrift<'_>) -> io::Result<Self> {
        let mut header = Self::default();
        let mut id = 0;
        while let Some(kind) = thrift.field(&mut id)? {
            match (id, kind) {
                (2, Kind::Integer) => header.unpacked_bytes = thrift.integer()?,
                (3, Kind::Integer) => header.packed_bytes = thrift.integer()?,
                (5 | 8, Kind::Struct) => header.counts = thrift.counts(id == 8)?,
                (7, Kind::Struct) => {
                    header.is_dictionary = true;
                    header.counts = thrift.counts(false)?;
                }
                (_, kind) => thrift.skip(kind, 0)?,
            }
        }
        Ok(header)
    }
}

/// A kind of value, as far as it has to be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Its value stands in the field's first byte.
    Flag,
    Byte,
    Integer,
    Double,
    Text,
    List,
    Map,
    Struct,
}

impl Kind {
    fn of(bits: u8) -> io::Result<Self> {
        Ok(match bits {
            1 | 2 => Self::Flag,
            3 => Self::Byte,
            4..=6 => Self::Integer,
            7 => Self::Double,
            8 => Self::Text,
            9 | 10 => Self::List,
            11 => Self::Map,
            12 => Self::Struct,
            _ => return wrong("a page has no header"),
        })
    }
}

/// Thrift's compact protocol.
struct Thrift<'a> {
    bytes: &'a mut dyn Read,
}

impl Thrift<'_> {
    fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.bytes.read_exact(&mut byte)?;
        Ok(byte[0])
    }

    /// Seven bits a byte, the lowest first.
    fn unsigned(&mut self) -> io::Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        wrong("a number in a page's header has no end")
    }

    /// Zigzag: 0, -1, 1, -2 and so on.
    fn integer(&mut self) -> io::Result<i64> {
        let number = self.unsigned()?;
        let half = i64::try_from(number >> 1).unwrap_or(i64::MAX);
        Ok(if number & 1 == 1 { -half - 1 } else { half })
    }

    /// The kind of the next field of a struct, whose number `id` becomes; none at its end.
    fn field(&mut self, id: &mut i64) -> io::Result<Option<Kind>> {
        let first = self.byte()?;
        if first == 0 {
            return Ok(None);
        }
        *id = match first >> 4 {
            0 => self.integer()?,
            step => id.saturating_add(i64::from(step)),
        };
        Kind::of(first & 0x0F).map(Some)
    }

    /// The first number of a struct, or the first three.
    fn counts(&mut self, three: bool) -> io::Result<Vec<i64>> {
        let (mut counts, mut id) = (Vec::new(), 0);
        while let Some(kind) = self.field(&mut id)? {
            let is_count = id == 1 || three && (2..=3).contains(&id);
            match kind {
                Kind::Integer if is_count => counts.push(self.integer()?),
                kind => self.skip(kind, 1)?,
            }
        }
        Ok(counts)
    }

    fn skip(&mut self, kind: Kind, depth: usize) -> io::Result<()> {
        if depth > DEEPEST {
            return wrong("a page's header nests too deeply");
        }
        match kind {
            Kind::Flag => Ok(()),
            Kind::Byte => self.byte().map(|_| ()),
            Kind::Integer => self.unsigned().map(|_| ()),
            Kind::Double => self.pass_over(8),
            Kind::Text => {
                let bytes = self.unsigned()?;
                self.pass_over(bytes)
            }
            Kind::List => self.skip_list(depth),
            Kind::Map => wrong("a page's header has a map, which the format does not"),
            Kind::Struct => {
                let mut id = 0;
                while let Some(kind) = self.field(&mut id)? {
                    self.skip(kind, depth + 1)?;
                }
                Ok(())
            }
        }
    }

    fn skip_list(&mut self, depth: usize) -> io::Result<()> {
        let first = self.byte()?;
        let items = match first >> 4 {
            15 => self.unsigned()?,
            items => u64::from(items),
        };
        let kind = Kind::of(first & 0x0F)?;
        for _ in 0..items {
            match kind {
                // in a list each takes a byte
                Kind::Flag => self.byte().map(|_| ())?,
                kind => self.skip(kind, depth + 1)?,
            }
        }
        Ok(())
    }

    fn pass_over(&mut self, bytes: u64) -> io::Result<()> {
        let passed = io::copy(&mut self.bytes.take(bytes), &mut io::sink())?;
        match passed == bytes {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
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
        assert!(problem(&[0x1B, 0], 2).contains("map"));
        assert!(check(&[0xFF; 40], 2).is_err());
    }
}
