package instance

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"odcm/agent/folder"
)

// manifest says what an instance's folder is. It is written before the process is started, and holds no secrets.
type manifest struct {
	Format         int    `json:"format"`
	ID             string `json:"id"` // the folder's name
	Name           string `json:"name"`
	Version        string `json:"version"`    // as the manager desires it
	Executable     string `json:"executable"` // folder below versions/, chosen at the first start and kept: the pin
	Desired        string `json:"desired"`    // running, stopped or removed
	KeepData       bool   `json:"keepData,omitempty"`
	Port           int    `json:"port,omitempty"`           // the last one; it is taken again where it is free
	InstallationID string `json:"installationId,omitempty"` // empty until it first ran
	Ready          *ready `json:"ready,omitempty"`          // what the process with ReadyPID said
	ReadyPID       int    `json:"readyPid,omitempty"`
}

const manifestFormat = 1

const (
	desiredRunning = "running"
	desiredStopped = "stopped"
	desiredRemoved = "removed"
)

// parseManifest reads the manifest of the instance. A file of a newer format is refused, not guessed at.
func parseManifest(data []byte, id string) (manifest, error) {
	var m manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return manifest{}, fmt.Errorf("manifest: %w", err)
	}
	switch {
	case m.Format != manifestFormat:
		return manifest{}, fmt.Errorf("manifest of format %d: this agent reads %d; start a newer one", m.Format, manifestFormat)
	case m.ID != id || !folder.ValidID(m.ID):
		return manifest{}, errors.New("manifest of another instance than its folder")
	case m.Executable != "" && !folder.ValidName(m.Executable):
		return manifest{}, errors.New("manifest with an executable that is no folder's name")
	case m.Desired != desiredRunning && m.Desired != desiredStopped && m.Desired != desiredRemoved:
		return manifest{}, errors.New("manifest with an unknown desired state")
	case m.Port < 0 || m.Port > 65535:
		return manifest{}, errors.New("manifest with a port that is none")
	}
	return m, nil
}

func readManifest(dir string) (manifest, error) {
	data, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		return manifest{}, err
	}
	return parseManifest(data, filepath.Base(dir))
}

func (m manifest) write(dir string) error {
	m.Format = manifestFormat
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return folder.Write(filepath.Join(dir, "manifest.json"), append(data, '\n'))
}
