package octotest

import (
	"errors"
	"os"
	"path/filepath"

	"odcm/octopus"
	"odcm/octopus/octotest/swagger"
)

// Reference is what real servers say: the Swagger document of 2020.5, and recorded answers.
type Reference struct {
	document *swagger.Document
	root     octopus.Object // GET /api of 2019.7
	tasks    octopus.Object // a page of tasks of 2017
}

// Load reads the reference from the folder of input data, which is kept outside of the project: see [SharedFolder].
func Load(shared string) (*Reference, error) {
	wire := filepath.Join(shared, "octopus-wire")
	document, err := swagger.Load(filepath.Join(wire, "swagger-2020.5.json"))
	if err != nil {
		return nil, err
	}
	root, err := readObject(filepath.Join(wire, "recorded", "2019.7.12", "api.GET.json"))
	if err != nil {
		return nil, err
	}
	tasks, err := readObject(filepath.Join(wire, "recorded", "machines", "Machines-1", "tasks.skip=0.GET.json"))
	if err != nil {
		return nil, err
	}
	return &Reference{document: document, root: root, tasks: tasks}, nil
}

// SharedFolder finds the folder of input data: $ODCM_SHARED, or "shared" beside the repository.
func SharedFolder() (string, error) {
	if dir := os.Getenv("ODCM_SHARED"); dir != "" {
		return dir, nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			shared := filepath.Join(filepath.Dir(dir), "shared")
			_, err := os.Stat(shared)
			return shared, err
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("not inside the repository; set ODCM_SHARED to the folder of input data")
		}
	}
}

func readObject(file string) (octopus.Object, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return octopus.Object{}, err
	}
	return octopus.ParseObject(raw)
}
