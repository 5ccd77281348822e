package main

import (
	"bufio"
	"fmt"
	"os"
	"sync"
)

// notes are the client's own memory, a line of JSON each: what it was promised, and what it was told of the end. The conservation check starts from them.
type notes struct {
	mu     sync.Mutex
	file   *os.File
	writer *bufio.Writer
}

func newNotes(path string) (*notes, error) {
	if path == "" {
		return &notes{}, nil
	}
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return &notes{file: file, writer: bufio.NewWriterSize(file, 1<<16)}, nil
}

func (n *notes) accepted(id string, order []byte) {
	n.write("{\"accepted\":%q,\"order\":%s}\n", id, order)
}

func (n *notes) ended(id, kind string) { n.write("{\"ended\":%q,\"kind\":%q}\n", id, kind) }

func (n *notes) write(format string, values ...any) {
	if n.writer == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	// An error stays with the writer, and close tells of it.
	_, _ = fmt.Fprintf(n.writer, format, values...)
}

func (n *notes) close() error {
	if n.writer == nil {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.writer.Flush(); err != nil {
		return err
	}
	return n.file.Close()
}
