package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// connection is one kept-alive HTTP/1.1 connection. net/http's client would cost twice the time that the service under test takes for the same request.
type connection struct {
	address string
	timeout time.Duration
	conn    net.Conn
	reader  *bufio.Reader
}

type answer struct {
	status int
	body   []byte
}

// exchange sends a whole request and reads its whole answer. After an error the next one opens a new connection.
func (c *connection) exchange(request []byte) (answer, error) {
	if c.conn == nil {
		conn, err := net.DialTimeout("tcp", c.address, c.timeout)
		if err != nil {
			return answer{}, err
		}
		c.conn, c.reader = conn, bufio.NewReaderSize(conn, 4096)
	}
	made, err := c.try(request)
	if err != nil {
		c.close()
	}
	return made, err
}

func (c *connection) try(request []byte) (answer, error) {
	if err := c.conn.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return answer{}, err
	}
	if _, err := c.conn.Write(request); err != nil {
		return answer{}, err
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return answer{}, fmt.Errorf("the answer: %w", err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, fmt.Errorf("the answer's body: %w", err)
	}
	if response.Close {
		c.close()
	}
	return answer{status: response.StatusCode, body: body}, nil
}

func (c *connection) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}
