//! Small well-formed files, byte by byte.

use std::io::{Cursor, Write};

pub(crate) const ETHERNET: u32 = 1;

/// A packet of a flow from 10.1.2.3:4567 to 192.168.0.1:443.
#[derive(Clone)]
pub(crate) struct Packet {
    pub(crate) protocol: u8,
    pub(crate) ether_type: u16,
    pub(crate) vlans: Vec<u16>,
    /// Flags and offset of the fragment.
    pub(crate) fragment: u16,
    pub(crate) payload: usize,
}

impl Packet {
    pub(crate) fn tcp() -> Self {
        Self {
            protocol: 6,
            ether_type: 0x0800,
            vlans: Vec::new(),
            fragment: 0,
            payload: 20,
        }
    }

    pub(crate) fn udp() -> Self {
        Self {
            protocol: 17,
            ..Self::tcp()
        }
    }

    pub(crate) fn vlan(mut self, id: u16) -> Self {
        self.vlans.push(id);
        self
    }

    /// From the IP header on.
    pub(crate) fn ip(&self) -> Vec<u8> {
        let length = (20 + 4 + self.payload) as u16;
        let version = if self.ether_type == 0x86dd { 6 } else { 4 };
        let mut bytes = vec![version << 4 | 5, 0];
        bytes.extend(length.to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(self.fragment.to_be_bytes());
        bytes.extend([64, self.protocol, 0, 0, 10, 1, 2, 3, 192, 168, 0, 1]);
        bytes.extend(4567_u16.to_be_bytes());
        bytes.extend(443_u16.to_be_bytes());
        bytes.resize(bytes.len() + self.payload, 0);
        bytes
    }

    /// From the Ethernet header on.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![2; 12];
        for id in &self.vlans {
            bytes.extend([0x81, 0]);
            bytes.extend(id.to_be_bytes());
        }
        bytes.extend(self.ether_type.to_be_bytes());
        bytes.extend(self.ip());
        bytes
    }
}

pub(crate) fn pcap(link: u32, packets: &[Vec<u8>], big_endian: bool) -> Vec<u8> {
    let u32 = |number: u32| match big_endian {
        true => number.to_be_bytes(),
        false => number.to_le_bytes(),
    };
    let u16 = |number: u16| match big_endian {
        true => number.to_be_bytes(),
        false => number.to_le_bytes(),
    };
    let mut bytes = u32(0xa1b2_c3d4).to_vec();
    bytes.extend(u16(2));
    bytes.extend(u16(4));
    bytes.extend([0; 8]);
    bytes.extend(u32(262_144));
    bytes.extend(u32(link));
    for packet in packets {
        bytes.extend([0; 8]);
        bytes.extend(u32(packet.len() as u32));
        bytes.extend(u32(packet.len() as u32));
        bytes.extend(packet);
    }
    bytes
}

pub(crate) fn pcapng(link: u32, packets: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut block = |kind: u32, body: &[u8]| {
        let padding = body.len().next_multiple_of(4) - body.len();
        let length = (12 + body.len() + padding) as u32;
        bytes.extend(kind.to_le_bytes());
        bytes.extend(length.to_le_bytes());
        bytes.extend(body);
        bytes.extend(&[0; 4][..padding]);
        bytes.extend(length.to_le_bytes());
    };
    let section = [&[0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0][..], &[0xff; 8]].concat();
    block(0x0a0d_0d0a, &section);
    block(1, &[&(link as u16).to_le_bytes()[..], &[0; 6]].concat());
    for (index, packet) in packets.iter().enumerate() {
        let length = (packet.len() as u32).to_le_bytes();
        if index % 2 == 0 {
            let head = [[0; 4], [0; 4], [0; 4], length, length].concat();
            block(6, &[&head[..], packet].concat());
        } else {
            block(3, &[&length[..], packet].concat());
        }
    }
    bytes
}

pub(crate) fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    let padding = (10 + text.len() + 1).next_multiple_of(64) - (10 + text.len() + 1);
    let text = format!("{text}{:padding$}\n", "");
    let mut bytes = b"\x93NUMPY\x01\0".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.extend(data);
    bytes
}

pub(crate) fn npz(arrays: &[(&str, &[u8])], compressed: bool) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let method = match compressed {
        true => zip::CompressionMethod::Deflated,
        false => zip::CompressionMethod::Stored,
    };
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    for (name, bytes) in arrays {
        archive
            .start_file(format!("{name}.npy"), options)
            .expect("a new name");
        archive.write_all(bytes).expect("memory");
    }
    archive.finish().expect("memory").into_inner()
}
