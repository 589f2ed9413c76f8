//! Packet captures.

use septet_core::io::PositionedReader;

use super::Decode;
use super::failure::Failure;

#[cfg(not(feature = "pcap"))]
pub(super) fn decoder(
    _input: PositionedReader<'_>,
) -> Result<Box<dyn Decode + Send + '_>, Failure> {
    Err(Failure::Other(crate::SketchError::NeedsFeature {
        what: "reading a packet capture".into(),
        feature: "pcap",
    }))
}

#[cfg(feature = "pcap")]
pub(super) fn decoder(input: PositionedReader<'_>) -> Result<Box<dyn Decode + Send + '_>, Failure> {
    Ok(Box::new(packets::Packets::new(input)?))
}

#[cfg(feature = "pcap")]
mod packets {
    use std::io::{self, Read};
    use std::net::SocketAddrV4;
    use std::sync::{Arc, Mutex};

    use etherparse::{EtherType, LaxNetSlice, LaxSlicedPacket};
    use pcap_parser::traits::PcapReaderIterator;
    use pcap_parser::{Block, LegacyPcapReader, Linktype, PcapBlockOwned, PcapError, PcapNGReader};

    use super::{Decode, Failure, PositionedReader};
    use crate::any_key::AnyKey;
    use crate::error::Position;
    use crate::key::FlowKey;
    use crate::stream::reader::Record;

    const TCP: u8 = 6;
    const UDP: u8 = 17;

    /// The first four bytes of pcapng; pcap begins with one of several others.
    const SECTION_HEADER: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

    /// The initial and the maximum size of the buffer; the latter exceeds the longest packet with its
    /// options.
    const INITIAL_BUFFER_BYTES: usize = 128 * 1024;
    const MAX_BUFFER_BYTES: usize = 4 * 1024 * 1024;

    pub(super) struct Packets<'a> {
        reader: Box<dyn PcapReaderIterator + Send + 'a>,
        /// The cause of a read error, which `pcap-parser` does not pass on.
        error: Arc<Mutex<Option<io::Error>>>,
        /// The link types of the interfaces of the current section; a pcap file has one.
        interfaces: Vec<Linktype>,
        /// The byte order of the current section of a pcapng file, `None` in a pcap file.
        pcapng: Option<ByteOrder>,
        buffer: usize,
        offset: u64,
        skipped: u64,
    }

    #[derive(Clone, Copy, Debug)]
    enum ByteOrder {
        Little,
        Big,
    }

    /// The size of an empty block: its type, and its length twice.
    const MIN_BLOCK_BYTES: u32 = 12;

    /// A reader of the bytes that were inspected to detect the format, and of all others. It fills
    /// buffers completely, as `pcap-parser` expects.
    struct Source<'a> {
        first: io::Cursor<Vec<u8>>,
        input: PositionedReader<'a>,
        error: Arc<Mutex<Option<io::Error>>>,
    }

    impl Read for Source<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let first = self.first.read(buffer)?;
            match self.input.read_full(&mut buffer[first..]) {
                Ok(filled) => Ok(first + filled),
                Err(error) => {
                    let kind = error.kind();
                    if let Ok(mut position) = self.error.lock() {
                        *position = Some(error);
                    }
                    Err(kind.into())
                }
            }
        }
    }

    impl<'a> Packets<'a> {
        pub(super) fn new(mut input: PositionedReader<'a>) -> Result<Self, Failure> {
            // Four bytes distinguish pcapng from pcap.
            let mut first = vec![0; 4];
            let length = input.read_full(&mut first)?;
            first.truncate(length);
            let is_pcapng = first == SECTION_HEADER;
            let error = Arc::new(Mutex::new(None));
            let source = Source {
                first: io::Cursor::new(first),
                input,
                error: Arc::clone(&error),
            };
            let reader: Result<Box<dyn PcapReaderIterator + Send + 'a>, _> = if is_pcapng {
                PcapNGReader::new(INITIAL_BUFFER_BYTES, source).map(|reader| Box::new(reader) as _)
            } else {
                LegacyPcapReader::new(INITIAL_BUFFER_BYTES, source)
                    .map(|reader| Box::new(reader) as _)
            };
            let reader = reader.map_err(|_| match take(&error) {
                Some(error) => Failure::Read(error),
                None => Failure::at(
                    Position::Byte(0),
                    "the header of a pcap or pcapng file",
                    "something else",
                ),
            })?;
            Ok(Self {
                reader,
                error,
                interfaces: Vec::new(),
                pcapng: is_pcapng.then_some(ByteOrder::Little),
                buffer: INITIAL_BUFFER_BYTES,
                offset: 0,
                skipped: 0,
            })
        }

        fn fault(&self, expected: &str, found: &str) -> Failure {
            match take(&self.error) {
                Some(error) => Failure::Read(error),
                None => Failure::at(Position::Byte(self.offset), expected, found),
            }
        }
    }

    fn take(error: &Mutex<Option<io::Error>>) -> Option<io::Error> {
        error.lock().ok()?.take()
    }

    impl Packets<'_> {
        /// Checks the length of the next block, from which `pcap-parser` subtracts 12 without a check.
        fn check_length(&self) -> Result<(), Failure> {
            let Some((kind, length)) = self.reader.data().first_chunk::<8>().map(|bytes| {
                let [a, b, c, d, length @ ..] = *bytes;
                ([a, b, c, d], length)
            }) else {
                return Ok(());
            };
            let length = match self.pcapng {
                Some(ByteOrder::Little) => u32::from_le_bytes(length),
                Some(ByteOrder::Big) => u32::from_be_bytes(length),
                None => return Ok(()),
            };
            // The byte order of a section header is known only after it has been parsed.
            if kind == SECTION_HEADER || length >= MIN_BLOCK_BYTES {
                return Ok(());
            }
            let found = format!("one of {length}");
            Err(self.fault(
                &format!("a block of at least {MIN_BLOCK_BYTES} bytes"),
                &found,
            ))
        }
    }

    /// The meaning of a block.
    enum Step {
        Flow(FlowKey),
        Skip,
        Metadata,
    }

    /// Why there is no block.
    enum NoBlock {
        End,
        NeedsData,
        BufferTooSmall,
        Malformed(&'static str),
    }

    impl Decode for Packets<'_> {
        fn next(&mut self) -> Result<Option<Record>, Failure> {
            loop {
                // First detach the result from the reader's buffer, then act on the reader.
                self.check_length()?;
                let step = match self.reader.next() {
                    Ok((length, block)) => {
                        if let PcapBlockOwned::NG(Block::SectionHeader(header)) = &block {
                            self.pcapng = Some(match header.big_endian() {
                                true => ByteOrder::Big,
                                false => ByteOrder::Little,
                            });
                        }
                        Ok((length, step(&block, &mut self.interfaces)))
                    }
                    Err(PcapError::Eof) => Err(NoBlock::End),
                    Err(PcapError::Incomplete(_)) => Err(NoBlock::NeedsData),
                    Err(PcapError::BufferTooSmall) => Err(NoBlock::BufferTooSmall),
                    Err(PcapError::UnexpectedEof) => Err(NoBlock::Malformed("the end inside it")),
                    Err(_) => Err(NoBlock::Malformed("a malformed one")),
                };
                match step {
                    Ok((length, step)) => {
                        self.reader.consume(length);
                        self.offset += length as u64;
                        match step {
                            Step::Flow(flow) => {
                                return Ok(Some(Record::one(AnyKey::Flow(flow))));
                            }
                            Step::Skip => self.skipped += 1,
                            Step::Metadata => {}
                        }
                    }
                    Err(NoBlock::End) => return Ok(None),
                    Err(NoBlock::NeedsData) => {
                        if self.reader.refill().is_err() {
                            return Err(self.fault("a packet", "a read error"));
                        }
                    }
                    Err(NoBlock::BufferTooSmall) => {
                        self.buffer *= 2;
                        if self.buffer > MAX_BUFFER_BYTES || !self.reader.grow(self.buffer) {
                            return Err(self.fault(
                                &format!("a block of at most {MAX_BUFFER_BYTES} bytes"),
                                "a longer one",
                            ));
                        }
                        if self.reader.refill().is_err() {
                            return Err(self.fault("a packet", "a read error"));
                        }
                    }
                    Err(NoBlock::Malformed(found)) => return Err(self.fault("a packet", found)),
                }
            }
        }

        fn skipped(&self) -> u64 {
            self.skipped
        }
    }

    /// The maximum number of interfaces of a section.
    const MAX_INTERFACES: usize = 65_536;

    /// Interprets a block: the flow of a packet, or metadata.
    fn step(block: &PcapBlockOwned<'_>, interfaces: &mut Vec<Linktype>) -> Step {
        let (interface, packet) = match block {
            PcapBlockOwned::LegacyHeader(header) => {
                interfaces.clear();
                interfaces.push(header.network);
                return Step::Metadata;
            }
            PcapBlockOwned::Legacy(packet) => (0, packet.data),
            PcapBlockOwned::NG(Block::SectionHeader(_)) => {
                interfaces.clear();
                return Step::Metadata;
            }
            PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
                // Packets of further interfaces are skipped, so that memory is bounded.
                if interfaces.len() < MAX_INTERFACES {
                    interfaces.push(interface.linktype);
                }
                return Step::Metadata;
            }
            PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => (
                packet.if_id as usize,
                // Without the padding to four bytes.
                packet
                    .data
                    .get(..packet.caplen as usize)
                    .unwrap_or(packet.data),
            ),
            PcapBlockOwned::NG(Block::SimplePacket(packet)) => (
                0,
                packet
                    .data
                    .get(..packet.origlen as usize)
                    .unwrap_or(packet.data),
            ),
            PcapBlockOwned::NG(_) => return Step::Metadata,
        };
        let flow = interfaces
            .get(interface)
            .and_then(|&link| flow(link, packet));
        flow.map_or(Step::Skip, Step::Flow)
    }

    /// The flow of a packet, `None` unless it is TCP or UDP over IPv4, and not a fragment.
    fn flow(link: Linktype, packet: &[u8]) -> Option<FlowKey> {
        /// Linux "cooked" captures, version 2.
        const LINUX_SLL2: Linktype = Linktype(276);
        /// OpenBSD loopback captures.
        const LOOP: Linktype = Linktype(108);
        /// Raw IP packets under platform-specific numbers.
        const RAW_BSD: [Linktype; 2] = [Linktype(12), Linktype(14)];

        // Skip the link-layer header of each type; truncated packets are expected.
        let ether_type = |bytes: &[u8]| Some(EtherType(u16::from_be_bytes(bytes.try_into().ok()?)));
        let sliced = match link {
            Linktype::ETHERNET => LaxSlicedPacket::from_ethernet(packet).ok()?,
            Linktype::RAW | Linktype::IPV4 => LaxSlicedPacket::from_ip(packet).ok()?,
            link if RAW_BSD.contains(&link) => LaxSlicedPacket::from_ip(packet).ok()?,
            Linktype::NULL | LOOP => LaxSlicedPacket::from_ip(packet.get(4..)?).ok()?,
            Linktype::LINUX_SLL => {
                LaxSlicedPacket::from_ether_type(ether_type(packet.get(14..16)?)?, &packet[16..])
            }
            LINUX_SLL2 => {
                LaxSlicedPacket::from_ether_type(ether_type(packet.get(..2)?)?, packet.get(20..)?)
            }
            _ => return None,
        };
        let Some(LaxNetSlice::Ipv4(ip)) = &sliced.net else {
            return None;
        };
        let (header, payload) = (ip.header(), ip.payload());
        let protocol = payload.ip_number.0;
        if payload.fragmented || !matches!(protocol, TCP | UDP) {
            return None;
        }
        // TCP and UDP headers start with the ports, which even truncated captures contain.
        let ports = payload.payload.first_chunk::<4>()?;
        let [source, destination] = [[ports[0], ports[1]], [ports[2], ports[3]]];
        Some(FlowKey {
            source: SocketAddrV4::new(header.source_addr(), u16::from_be_bytes(source)),
            destination: SocketAddrV4::new(
                header.destination_addr(),
                u16::from_be_bytes(destination),
            ),
            protocol,
        })
    }
}
