package script

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode/utf8"
)

// Sizes of what a script may say.
const (
	longestLine    = 16 << 10 // of text; what is longer comes in pieces
	longestMessage = 4 << 20  // of a line with a service message in it: a value may be a whole file
	mostArtifacts  = 1000
	mostOutput     = 20 << 20 // of text, and as much of messages
	mostAtOnce     = 32 << 10 // that is read
)

// screen is between what a script prints and the [Output]: it puts lines together, takes service messages out and
// keeps a flood off. Both streams of a script share one. What is not taken is not read, so a script that prints faster
// than its log is written waits in its write.
type screen struct {
	out Output

	mu        sync.Mutex
	text      int64 // bytes of text that may still pass
	messages  int64 // bytes of messages that may still pass
	dropped   int64
	ended     bool // nothing passes any more
	artifacts []artifact
}

// artifact is a file that the script wants kept.
type artifact struct{ name, path string }

func newScreen(out Output, limit int64) *screen {
	return &screen{out: out, text: limit, messages: limit}
}

// copy reads a stream to its end.
func (s *screen) copy(r io.Reader, stderr bool) error {
	var buffer []byte
	chunk := make([]byte, 1<<10) // most scripts say little; who says much is read in larger pieces
	for {
		n, err := r.Read(chunk)
		for data := chunk[:n]; len(data) > 0; {
			line, rest, ended := bytes.Cut(data, []byte{'\n'})
			buffer = append(buffer, line...)
			data = rest
			switch {
			case ended:
				s.line(stderr, string(bytes.TrimSuffix(buffer, []byte{'\r'})))
				buffer = buffer[:0]
			case len(buffer) > longestLine && !bytes.Contains(buffer, []byte(marker)), len(buffer) > longestMessage:
				n := whole(buffer)
				s.line(stderr, string(buffer[:n]))
				buffer = append(buffer[:0], buffer[n:]...)
			}
		}
		if cap(buffer) > longestMessage/4 && len(buffer) == 0 {
			buffer = nil
		}
		if n == len(chunk) && n < mostAtOnce {
			chunk = make([]byte, 2*n)
		}
		if err != nil {
			if len(buffer) > 0 {
				s.line(stderr, string(buffer))
			}
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

// whole is how much of the text ends with a whole character, and does not cut the marker of a message apart.
func whole(text []byte) int {
	n := len(text)
	if at := bytes.LastIndexByte(text, marker[0]); at > 0 && n-at < len(marker) && strings.HasPrefix(marker, string(text[at:])) {
		n = at
	}
	for back := 1; back < utf8.UTFMax && back < n; back++ {
		if c := text[n-back]; c < utf8.RuneSelf {
			break
		} else if utf8.RuneStart(c) {
			if !utf8.FullRune(text[n-back : n]) {
				n -= back
			}
			break
		}
	}
	return n
}

// line takes one line apart: text, messages, text. A line of messages only is no line of the log.
func (s *screen) line(stderr bool, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	said := false
	for {
		at := strings.Index(text, marker)
		if at < 0 {
			break
		}
		m, rest, ok := ParseMessage(text[at:])
		if !ok {
			break // the rest of the line is text: a second message behind a broken one would be guessing
		}
		if at > 0 {
			s.say(stderr, text[:at])
		}
		s.message(m)
		said, text = true, rest
	}
	if text != "" || !said {
		s.say(stderr, text)
	}
}

func (s *screen) say(stderr bool, text string) {
	text = strings.ToValidUTF8(text, string(utf8.RuneError))
	for {
		piece := text
		if len(piece) > longestLine {
			piece = text[:whole([]byte(text[:longestLine]))]
		}
		text = text[len(piece):]
		if s.text -= int64(len(piece) + 1); s.text >= 0 {
			s.out.Line(stderr, piece)
		} else {
			s.drop(len(piece) + 1)
		}
		if text == "" {
			return
		}
	}
}

func (s *screen) message(m Message) {
	size := len(m.Name)
	for name, value := range m.Parameters {
		size += len(name) + len(value)
	}
	if s.messages -= int64(size + 1); s.messages < 0 {
		s.drop(size + 1)
		return
	}
	if m.Name == "createArtifact" && m.Parameters["path"] != "" {
		if len(s.artifacts) == mostArtifacts {
			s.out.Line(true, fmt.Sprintf("The script gives away more than %d artifacts: the others are left out.", mostArtifacts))
		}
		if len(s.artifacts) <= mostArtifacts {
			s.artifacts = append(s.artifacts, artifact{m.Parameters["name"], m.Parameters["path"]})
		}
	}
	s.out.Message(m.Name, m.Parameters)
}

// drop counts what does not pass, and says so the first time: the script runs on.
func (s *screen) drop(bytes int) {
	if s.dropped == 0 {
		s.out.Message("stdout-default", map[string]string{})
		s.out.Message("stderr-default", map[string]string{})
		s.out.Line(true, "The script prints more than this server keeps of one script: what follows is left out.")
	}
	s.dropped += int64(bytes)
}

// end says how much was left out. The output is not called again.
func (s *screen) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	if s.dropped > 0 {
		s.out.Line(true, fmt.Sprintf("%d bytes of the script's output were left out.", s.dropped))
	}
}

// given is what the script gave away.
func (s *screen) given() []artifact {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.artifacts[:min(len(s.artifacts), mostArtifacts)]
}
