package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/qlog"
)

func serverTLS(o options) (*tls.Config, error) {
	curves, err := groups(o)
	if err != nil {
		return nil, err
	}
	leaf, err := os.ReadFile(o["cert"])
	if err != nil {
		return nil, err
	}
	encoded, err := os.ReadFile(o["key"])
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(encoded)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:       tls.VersionTLS13,
		NextProtos:       []string{o["alpn"]},
		CurvePreferences: curves,
		Certificates:     []tls.Certificate{{Certificate: [][]byte{leaf}, PrivateKey: key}},
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
		InitialPacketSize: uint16(o.count("datagram", 0))})
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
			"resumed": state.DidResume})
		// A miner that ends badly comes back, and is served anew.
		if err := serve(ctx, o, conn); err != nil {
			say(event{"event": "link_failed", "text": err.Error()})
		}
	}
}
