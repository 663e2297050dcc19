//! Netlink attributes: a length, a kind, bytes, padded to four. Netfilter's numbers are big-endian.

pub(crate) const NESTED: u16 = 1 << 15;
const HEADER: usize = 4;

/// Writes attributes one behind the other.
#[derive(Debug, Default, Clone)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    pub(crate) fn bytes(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        let length = (HEADER + value.len()) as u16; // callers split what could outgrow it, see `ELEMENTS_IN_A_MESSAGE`
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(HEADER), 0);
        self
    }

    /// With the zero byte at the end that the kernel wants.
    pub(crate) fn string(&mut self, kind: u16, value: &str) -> &mut Self {
        self.bytes(kind, &[value.as_bytes(), &[0]].concat())
    }

    pub(crate) fn number(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    pub(crate) fn long(&mut self, kind: u16, value: u64) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    pub(crate) fn nested(&mut self, kind: u16, inner: impl FnOnce(&mut Writer)) -> &mut Self {
        let start = self.0.len();
        self.bytes(kind | NESTED, &[]);
        inner(self);
        let length = (self.0.len() - start) as u16;
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self
    }
}

/// The attributes in a message's body, kinds without their flags. Ends at the first that does not fit.
pub(crate) fn read(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let (length, kind) = (half(bytes, 0)? as usize, half(bytes, 2)? & !(NESTED | 1 << 14));
        let value = bytes.get(HEADER..length)?;
        bytes = bytes.get(length.next_multiple_of(HEADER)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// Follows a path of nested attributes.
pub(crate) fn find<'a>(bytes: &'a [u8], path: &[u16]) -> Option<&'a [u8]> {
    path.iter()
        .try_fold(bytes, |bytes, kind| read(bytes).find(|(found, _)| found == kind).map(|(_, value)| value))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_nest() {
        let mut writer = Writer::default();
        writer.string(1, "ab").nested(2, |inner| {
            inner.number(3, 0x0102_0304).bytes(4, &[9]);
        });
        let mut want: Vec<u8> = Vec::new();
        for (length, kind, rest) in [
            (7_u16, 1_u16, &[b'a', b'b', 0, 0][..]),
            (20, 2 | NESTED, &[]),
            (8, 3, &[1, 2, 3, 4]),
            (5, 4, &[9, 0, 0, 0]),
        ] {
            want.extend(length.to_ne_bytes());
            want.extend(kind.to_ne_bytes());
            want.extend(rest);
        }
        assert_eq!(writer.0, want);
        assert_eq!(read(&writer.0).map(|(kind, _)| kind).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(find(&writer.0, &[2, 4]), Some(&[9][..]));
        assert_eq!(find(&writer.0, &[2, 5]), None);
    }

    #[test]
    fn what_is_cut_short_ends_the_reading() {
        let mut writer = Writer::default();
        writer.number(1, 1).number(2, 2);
        for length in 0..writer.0.len() {
            assert_eq!(read(&writer.0[..length]).count(), length / 8, "{length} bytes");
        }
        assert_eq!(read(&[0; 8]).count(), 0, "a length of zero does not go on for ever");
    }
}
