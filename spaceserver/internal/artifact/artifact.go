// Package artifact keeps the files that tasks leave for people, beside the database, each with its document.
package artifact

import (
	"context"
	"io"
	"path/filepath"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/kinds/host"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
)

// Folder is where artifacts lie in the server's data folder.
func Folder(data string) host.Folder { return host.Folder{Dir: filepath.Join(data, "artifacts")} }

// File is an artifact to be kept.
type File struct {
	Space, Task string // ids
	Correlation string // id of the node of the task's log that it belongs to: activity.Log.ID
	Name        string // as people see it
	Source      string // where it comes from, as people see it
}

// Add keeps what the reader yields, at most limit bytes of it, as an artifact of a task. It returns the artifact's id.
func Add(ctx context.Context, s *collection.Service, data string, f File, r io.Reader, limit int64) (id string, err error) {
	folder := Folder(data)
	received, err := folder.Receive(func(w io.Writer) error {
		n, err := io.Copy(w, io.LimitReader(r, limit+1))
		if err == nil && n > limit {
			err = problem.New(413, "The artifact '%s' is larger than %d bytes, which is this server's limit.", f.Name, limit)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	defer received.Discard()
	o, err := octopus.NewObject(map[string]any{"Filename": filepath.Base(filepath.Clean("/" + f.Name)), "Source": f.Source, "ServerTaskId": f.Task, "LogCorrelationId": f.Correlation})
	if err != nil {
		return "", err
	}
	err = s.Transact(ctx, collection.Request{Principal: permission.System(), Space: f.Space}, func(c *collection.Change) error {
		made, err := c.Create("Artifacts", o)
		id = made.Text("Id")
		return err
	})
	if err != nil {
		return "", err
	}
	// After the commit: a crash between the two leaves a document whose content is said to be missing, never content that
	// nobody knows of.
	return id, folder.Keep(received, f.Space+"/"+id)
}
