package main

import (
	"bufio"
	"fmt"
	"os"
	"sync"
)

// acceptedLog is the client's own memory of what it was promised: a line for each accepted order. The conservation check starts from it.
type acceptedLog struct {
	mu     sync.Mutex
	file   *os.File
	writer *bufio.Writer
}

func newAcceptedLog(path string) (*acceptedLog, error) {
	if path == "" {
		return &acceptedLog{}, nil
	}
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return &acceptedLog{file: file, writer: bufio.NewWriterSize(file, 1<<16)}, nil
}

func (l *acceptedLog) write(id, key string) {
	if l.writer == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	// An error stays with the writer, and close tells of it.
	_, _ = fmt.Fprintf(l.writer, "{\"orderId\":%q,\"key\":%q}\n", id, key)
}

func (l *acceptedLog) close() error {
	if l.writer == nil {
		return nil
	}
	if err := l.writer.Flush(); err != nil {
		return err
	}
	return l.file.Close()
}
