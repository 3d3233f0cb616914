package main

import (
	"context"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
)

// deaf sends what it is given and never hears an answer, as strangers with a false address do.
type deaf struct {
	*net.UDPConn
	sent atomic.Int64
}

func (d *deaf) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		if _, _, err := d.UDPConn.ReadFrom(b); err != nil {
			return 0, nil, err
		}
	}
}

func (d *deaf) WriteTo(b []byte, to net.Addr) (int, error) {
	d.sent.Add(1)
	return d.UDPConn.WriteTo(b, to)
}

// plain hides what quic-go would otherwise use to read and write past the methods above.
type plain struct{ net.PacketConn }

// runCrowd begins many handshakes, goes on with none, and waits for the end of its input.
func runCrowd(ctx context.Context, o options) error {
	tc, err := clientTLS(o)
	if err != nil {
		return err
	}
	node, err := net.ResolveUDPAddr("udp4", o["connect"])
	if err != nil {
		return err
	}
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	crowd := &deaf{UDPConn: socket}
	transport := &quic.Transport{Conn: plain{crowd}}
	links := o.count("links", 1)
	for range links {
		go transport.Dial(ctx, node, tc, &quic.Config{HandshakeIdleTimeout: time.Minute})
	}
	// Each begins with two datagrams: a ClientHello with ML-KEM does not fit into one.
	for crowd.sent.Load() < int64(2*links) && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	say(event{"event": "crowded", "port": socket.LocalAddr().(*net.UDPAddr).Port})
	io.Copy(io.Discard, os.Stdin)
	return nil
}
