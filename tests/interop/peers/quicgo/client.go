package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/qlog"
)

const (
	keepAlive        = 5 * time.Second
	secondStreamTime = 500 * time.Millisecond
)

// pinned trusts the certificates with the pins, a comma between them; crypto/tls checks the signature with it.
func pinned(pins string) func([][]byte, [][]*x509.Certificate) error {
	return func(chain [][]byte, _ [][]*x509.Certificate) error {
		shown := sha256.Sum256(chain[0])
		if !slices.Contains(strings.Split(pins, ","), hex.EncodeToString(shown[:])) {
			return errors.New("another certificate than the pinned one")
		}
		return nil
	}
}

func clientTLS(o options) (*tls.Config, error) {
	curves, err := groups(o)
	if err != nil {
		return nil, err
	}
	var own []tls.Certificate
	if o["cert"] != "" {
		if own, err = ownLeaf(o); err != nil {
			return nil, err
		}
	}
	return &tls.Config{
		Certificates:          own,
		MinVersion:            tls.VersionTLS13,
		NextProtos:            []string{o["alpn"]},
		CurvePreferences:      curves,
		ServerName:            "localhost",
		InsecureSkipVerify:    true,
		VerifyPeerCertificate: pinned(o["pin"]),
		ClientSessionCache:    tls.NewLRUClientSessionCache(8),
	}, nil
}

type miner struct {
	o         options
	conn      *quic.Conn
	accepted  int
	nonce     uint64
	job       string
	waiting   bool
	transport *quic.Transport
}

// take is what one message of the node does to the miner.
func (m *miner) take(in message) {
	switch {
	case in.JobAck != nil:
		m.waiting = in.JobAck.Verdict == "accepted" || m.o.set("any-verdict")
		if m.waiting {
			m.accepted++
		} else {
			say(event{"event": "ack", "verdict": in.JobAck.Verdict, "reason": in.JobAck.Reason})
		}
	case in.NewJob != nil:
		// Without acknowledgements another job is all that a miner ever learns.
		if m.o["alpn"] != "pqlink-miner/1" && m.waiting && in.NewJob.ID != m.job {
			m.accepted++
		}
		m.job, m.waiting = in.NewJob.ID, false
	}
}

func (m *miner) move(ctx context.Context) error {
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	path, err := m.conn.AddPath(&quic.Transport{Conn: socket})
	if err != nil {
		return err
	}
	if err := path.Probe(ctx); err != nil {
		return err
	}
	say(event{"event": "moved", "to": socket.LocalAddr().(*net.UDPAddr).Port})
	return path.Switch()
}

func (m *miner) trySecondStream(ctx context.Context) {
	soon, cancel := context.WithTimeout(ctx, secondStreamTime)
	defer cancel()
	_, err := m.conn.OpenStreamSync(soon)
	say(event{"event": "second_stream", "granted": err == nil})
}

func (m *miner) mine(ctx context.Context) error {
	stream, err := m.conn.OpenStreamSync(ctx)
	if err != nil {
		return err
	}
	if err := writeReady(stream, m.o["alpn"], m.o["token"]); err != nil {
		return err
	}
	if m.o.set("second-stream") {
		m.trySecondStream(ctx)
	}
	moved := !m.o.set("migrate")
	for wanted := m.o.count("results", 1); m.accepted < wanted; {
		in, err := read(stream)
		if err != nil {
			return err
		}
		m.take(in)
		if m.waiting || m.job == "" || m.accepted >= wanted {
			continue
		}
		if m.accepted == 1 && !moved {
			if err := m.move(ctx); err != nil {
				return err
			}
			moved = true
		}
		m.o.pause()
		m.nonce++
		if err := write(stream, result(m.job, m.nonce)); err != nil {
			return err
		}
		m.waiting = true
	}
	return nil
}

// addressTokens spare a second session the Retry.
var addressTokens = quic.NewLRUTokenStore(1, 4)

func dial(ctx context.Context, o options, t *quic.Transport, tc *tls.Config, to string) (*quic.Conn, string, error) {
	node, err := net.ResolveUDPAddr("udp4", o[to])
	if err != nil {
		return nil, "", err
	}
	config := &quic.Config{TokenStore: addressTokens, KeepAlivePeriod: keepAlive, HandshakeIdleTimeout: 10 * time.Second,
		InitialPacketSize: uint16(o.count("datagram", 0)), // 0: quic-go's own choice, 1280
		Tracer:            qlog.DefaultConnectionTracer}   // writes where QLOGDIR says, if it does
	if !o.set("early") {
		conn, err := t.Dial(ctx, node, tc, config)
		return conn, "not tried", err
	}
	conn, err := t.DialEarly(ctx, node, tc, config)
	if err != nil {
		return nil, "", err
	}
	if o.set("early-write") && to == "connect" {
		if stream, err := conn.OpenStream(); err == nil { // before the handshake: with a ticket that allows it
			stream.Write([]byte("early"))
		}
	}
	select {
	case <-conn.HandshakeComplete():
	case <-conn.Context().Done():
		return nil, "", context.Cause(conn.Context())
	}
	if conn.ConnectionState().Used0RTT {
		return conn, "accepted", nil
	}
	// When early data was refused, this is the connection without it.
	conn, err = conn.NextConnection(ctx)
	return conn, "not accepted", err
}

// session is one link, to the node that the option to names.
func session(ctx context.Context, o options, t *quic.Transport, tc *tls.Config, to string, seed uint64) (int, error) {
	conn, early, err := dial(ctx, o, t, tc, to)
	if err != nil {
		return 0, err
	}
	state := conn.ConnectionState().TLS
	say(event{"event": "open", "alpn": state.NegotiatedProtocol, "group": state.CurveID.String(),
		"leaf": leafOf(state), "resumed": state.DidResume, "early": early,
		"key": state.PeerCertificates[0].PublicKeyAlgorithm.String()})
	m := miner{o: o, conn: conn, nonce: seed, transport: t}
	err = m.mine(ctx)
	var closed *quic.ApplicationError
	if errors.As(err, &closed) {
		say(event{"event": "closed", "code": uint64(closed.ErrorCode), "reason": closed.ErrorMessage})
	}
	conn.CloseWithError(0, "")
	return m.accepted, err
}

func runClient(ctx context.Context, o options) error {
	tc, err := clientTLS(o)
	if err != nil {
		return err
	}
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	transport := &quic.Transport{Conn: socket}
	defer transport.Close()
	total := 0
	if o["first"] != "" { // somebody else, whose tickets are then shown to the node
		if total, err = session(ctx, o, transport, tc, "first", 1000000); err != nil {
			return err
		}
	}
	for n := range o.count("sessions", 1) {
		accepted, err := session(ctx, o, transport, tc, "connect", uint64(n)*1000)
		if err != nil {
			return err
		}
		total += accepted
	}
	type outcome struct {
		accepted int
		err      error
	}
	links := o.count("links", 0)
	outcomes := make(chan outcome, links)
	for n := range links {
		go func() {
			accepted, err := session(ctx, o, transport, tc, "connect", uint64(n+1)*100000)
			outcomes <- outcome{accepted, err}
		}()
	}
	for range links {
		one := <-outcomes
		if one.err != nil {
			return fmt.Errorf("one of %d links: %w", links, one.err)
		}
		total += one.accepted
	}
	say(event{"event": "done", "accepted": total})
	return nil
}
