package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
)

// Frames of the miner protocol: four bytes of length, then JSON.
const frameMax = 1024

type newJob struct {
	ID         string `json:"job_id"`
	MiningHash string `json:"mining_hash"`
	Difficulty string `json:"difficulty"`
}

type jobResult struct {
	Status  string  `json:"status"`
	ID      string  `json:"job_id"`
	Nonce   *string `json:"nonce"`
	Work    *string `json:"work"`
	Hashes  uint64  `json:"hash_count"`
	Elapsed float64 `json:"elapsed_time"`
}

type jobAck struct {
	ID      string  `json:"job_id"`
	Nonce   *string `json:"nonce"`
	Verdict string  `json:"verdict"`
	Reason  string  `json:"reason"`
	Height  uint64  `json:"height"`
}

// message is what a frame holds; what is absent is nil.
type message struct {
	Ready     *map[string]string `json:"Ready,omitempty"`
	NewJob    *newJob            `json:"NewJob,omitempty"`
	JobResult *jobResult         `json:"JobResult,omitempty"`
	JobAck    *jobAck            `json:"JobAck,omitempty"`
}

func writeBody(w io.Writer, body []byte) error {
	frame := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	_, err := w.Write(append(frame, body...))
	return err
}

func write(w io.Writer, m message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return writeBody(w, body)
}

func readBody(r io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint32(head[:])
	if length == 0 || length > frameMax {
		return nil, fmt.Errorf("a frame of %d bytes", length)
	}
	body := make([]byte, length)
	_, err := io.ReadFull(r, body)
	return body, err
}

func read(r io.Reader) (message, error) {
	var m message
	body, err := readBody(r)
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal(body, &m)
}

// writeReady says what a miner says first; the first generation of the protocol had a bare string.
func writeReady(w io.Writer, alpn, token string) error {
	if alpn == "quantus-miner" {
		return writeBody(w, []byte(`"Ready"`))
	}
	ready := map[string]string{}
	if token != "" {
		ready["token"] = token
	}
	return write(w, message{Ready: &ready})
}

// result has the given number as nonce; at difficulty 1 nearly every number is a proof.
func result(id string, nonce uint64) message {
	text, work := fmt.Sprintf("%x", nonce), fmt.Sprintf("%0128x", nonce)
	return message{JobResult: &jobResult{Status: "completed", ID: id, Nonce: &text, Work: &work,
		Hashes: 1, Elapsed: 0.25}}
}
