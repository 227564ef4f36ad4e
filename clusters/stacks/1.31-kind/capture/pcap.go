package main

import (
	"encoding/binary"
	"time"
)

// The classic pcap format little-endian, microseconds; Ethernet frames, `lo` too.
// https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html
const (
	magic      = 0xa1b2c3d4
	ethernet   = 1
	snapLength = 262144
)

func fileHeader() []byte {
	header := make([]byte, 24)
	binary.LittleEndian.PutUint32(header[0:], magic)
	binary.LittleEndian.PutUint16(header[4:], 2)
	binary.LittleEndian.PutUint16(header[6:], 4)
	binary.LittleEndian.PutUint32(header[16:], snapLength)
	binary.LittleEndian.PutUint32(header[20:], ethernet)
	return header
}

func recordHeader(stamp time.Time, captured, original int) []byte {
	header := make([]byte, 16)
	binary.LittleEndian.PutUint32(header[0:], uint32(stamp.Unix()))
	binary.LittleEndian.PutUint32(header[4:], uint32(stamp.Nanosecond()/1000))
	binary.LittleEndian.PutUint32(header[8:], uint32(captured))
	binary.LittleEndian.PutUint32(header[12:], uint32(original))
	return header
}
