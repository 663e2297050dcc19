//! Tags, varints, lengths and texts.

use crate::ProtobufError;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Reader(bytes)
    }

    /// Field number and value; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<(u32, Wire<'a>)>, ProtobufError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint(0)?;
        let number = u32::try_from(tag >> 3).ok().filter(|n| *n > 0).ok_or(ProtobufError::Tag(tag))?;
        let value = match tag & 7 {
            0 => Wire::Varint(self.varint(number)?),
            1 => Wire::Fixed64(u64::from_le_bytes(self.array(number)?)),
            2 => {
                let length =
                    usize::try_from(self.varint(number)?).map_err(|_| ProtobufError::Short(number))?;
                let (bytes, rest) = self.0.split_at_checked(length).ok_or(ProtobufError::Short(number))?;
                self.0 = rest;
                Wire::Bytes(bytes)
            }
            5 => Wire::Fixed32(u32::from_le_bytes(self.array(number)?)),
            // groups, which nobody has written for fifteen years
            _ => return Err(ProtobufError::Tag(tag)),
        };
        Ok(Some((number, value)))
    }

    /// The rest as varints without tags.
    pub(crate) fn packed(mut self, number: u32) -> Result<Vec<u64>, ProtobufError> {
        let mut all = Vec::new();
        while !self.0.is_empty() {
            all.push(self.varint(number)?);
        }
        Ok(all)
    }

    fn varint(&mut self, number: u32) -> Result<u64, ProtobufError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(ProtobufError::Short(number))?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(ProtobufError::Tag(value))
    }

    fn array<const N: usize>(&mut self, number: u32) -> Result<[u8; N], ProtobufError> {
        let (array, rest) = self.0.split_first_chunk().ok_or(ProtobufError::Short(number))?;
        self.0 = rest;
        Ok(*array)
    }
}

pub(crate) fn put_varint(out: &mut Vec<u8>, number: u32, value: u64) {
    varint(out, u64::from(number) << 3);
    varint(out, value);
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_length(out, number, bytes.len());
    out.extend_from_slice(bytes);
}

/// Of a field of bytes, which follow it.
pub(crate) fn put_length(out: &mut Vec<u8>, number: u32, length: usize) {
    varint(out, u64::from(number) << 3 | 2);
    varint(out, length as u64);
}

pub(crate) fn put_double(out: &mut Vec<u8>, number: u32, value: f64) {
    varint(out, u64::from(number) << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn text(field: &str, bytes: &[u8]) -> Result<String, ProtobufError> {
    String::from_utf8(bytes.to_vec())
        .map_err(|e| ProtobufError::Value { field: field.to_owned(), why: e.to_string() })
}
