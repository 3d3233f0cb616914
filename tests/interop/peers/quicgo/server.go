package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/qlog"
)

// ownLeaf is the certificate and key that this side shows.
func ownLeaf(o options) ([]tls.Certificate, error) {
	leaf, err := os.ReadFile(o["cert"])
	if err != nil {
		return nil, err
	}
	encoded, err := os.ReadFile(o["key"])
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(encoded)
	return []tls.Certificate{{Certificate: [][]byte{leaf}, PrivateKey: key}}, err
}

func serverTLS(o options) (*tls.Config, error) {
	curves, err := groups(o)
	if err != nil {
		return nil, err
	}
	own, err := ownLeaf(o)
	if err != nil {
		return nil, err
	}
	asked := tls.NoClientCert
	if o.set("client-cert") {
		asked = tls.RequireAnyClientCert
	}
	return &tls.Config{
		ClientAuth:       asked,
		MinVersion:       tls.VersionTLS13,
		NextProtos:       []string{o["alpn"]},
		CurvePreferences: curves,
		Certificates:     own,
	}, nil
}

func job(number int, difficulty string) message {
	return message{NewJob: &newJob{ID: strconv.Itoa(number), MiningHash: fmt.Sprintf("%064x", number),
		Difficulty: difficulty}}
}

// serve gives one miner a job for each of its results; the run checks the proofs.
func serve(ctx context.Context, o options, conn *quic.Conn) error {
	stream, err := conn.AcceptStream(ctx)
	if err != nil {
		return err
	}
	ready, err := read(stream)
	if err != nil {
		return err
	}
	say(event{"event": "ready", "message": ready})
	if ready.Ready == nil || (*ready.Ready)["token"] != o["token"] {
		return conn.CloseWithError(0, "auth failed")
	}
	number, wanted := 1, o.count("results", 1)
	if err := write(stream, job(number, o["difficulty"])); err != nil {
		return err
	}
	for number <= wanted {
		in, err := read(stream)
		if err != nil {
			return err
		}
		r := in.JobResult
		if r == nil || r.Status != "completed" || r.ID != strconv.Itoa(number) {
			continue
		}
		say(event{"event": "result", "mining_hash": fmt.Sprintf("%064x", number), "difficulty": o["difficulty"],
			"work": r.Work})
		if o["alpn"] == "pqlink-miner/1" {
			err = write(stream, message{JobAck: &jobAck{ID: r.ID, Nonce: r.Nonce, Verdict: "accepted",
				Reason: "taken", Height: uint64(number)}})
			if err != nil {
				return err
			}
		}
		number++
		o.pause()
		if err := write(stream, job(number, o["difficulty"])); err != nil {
			return err
		}
	}
	say(event{"event": "done", "accepted": wanted})
	<-conn.Context().Done()
	return nil
}

// leafOf is the hash of the peer's certificate, whose key it has proven; empty without one.
func leafOf(state tls.ConnectionState) string {
	if len(state.PeerCertificates) == 0 {
		return ""
	}
	leaf := sha256.Sum256(state.PeerCertificates[0].Raw)
	return hex.EncodeToString(leaf[:])
}

func runServer(ctx context.Context, o options) error {
	tc, err := serverTLS(o)
	if err != nil {
		return err
	}
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	transport := &quic.Transport{Conn: socket}
	if o.set("retry") {
		transport.VerifySourceAddress = func(net.Addr) bool {
			say(event{"event": "retry"})
			return true
		}
	}
	listener, err := transport.Listen(tc, &quic.Config{Tracer: qlog.DefaultConnectionTracer,
		InitialPacketSize: uint16(o.count("datagram", 0)), Allow0RTT: o.set("early")})
	if err != nil {
		return err
	}
	say(event{"event": "listening", "port": socket.LocalAddr().(*net.UDPAddr).Port})
	for {
		conn, err := listener.Accept(ctx)
		if err != nil {
			return err
		}
		state := conn.ConnectionState().TLS
		say(event{"event": "open", "alpn": state.NegotiatedProtocol, "group": state.CurveID.String(),
			"resumed": state.DidResume, "peer": leafOf(state)})
		// A miner that ends badly comes back, and is served anew.
		if err := serve(ctx, o, conn); err != nil {
			say(event{"event": "link_failed", "text": err.Error()})
		}
	}
}
