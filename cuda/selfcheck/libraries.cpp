/* The functions of a library, by their names. */
#include <dlfcn.h>

#include "selfcheck.h"

namespace selfcheck {

namespace {

template <class F>
void resolve(void *library, const std::string &path, const char *name, F *function) {
  *function = (F)dlsym(library, name);
  if (*function == nullptr) die("%s has no function %s", path.c_str(), name);
}

}  // namespace

Api load(const std::string &path) {
  void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) die("cannot load %s: %s", path.c_str(), dlerror());
  Api api;
  resolve(library, path, "nas_abi_version", &api.abi_version);
  if (api.abi_version() != NAS_ABI_VERSION) {
    die("%s has ABI version %d, this program was built for %d", path.c_str(), api.abi_version(),
        NAS_ABI_VERSION);
  }
  resolve(library, path, "nas_last_error", &api.last_error);
  resolve(library, path, "nas_describe", &api.describe);
  resolve(library, path, "nas_best_tier", &api.best_tier);
  resolve(library, path, "nas_has_tier", &api.has_tier);
  resolve(library, path, "nas_tier", &api.tier);
  resolve(library, path, "nas_set_tier", &api.set_tier);
  resolve(library, path, "nas_threads", &api.threads);
  resolve(library, path, "nas_set_threads", &api.set_threads);
  resolve(library, path, "nas_codebook_create", &api.create);
  resolve(library, path, "nas_codebook_close", &api.close);
  resolve(library, path, "nas_codebook_shape", &api.shape);
  resolve(library, path, "nas_codebook_read", &api.read);
  resolve(library, path, "nas_codebook_write", &api.write);
  resolve(library, path, "nas_codebook_view", &api.view);
  resolve(library, path, "nas_lookup", &api.lookup);
  resolve(library, path, "nas_accumulate", &api.accumulate);
  resolve(library, path, "nas_apply", &api.apply);
  resolve(library, path, "nas_update", &api.update);
  resolve(library, path, "nas_restart", &api.restart);
  resolve(library, path, "nas_neighbours", &api.neighbours);
  resolve(library, path, "nas_swap", &api.swap);
  resolve(library, path, "nas_codebook_reserve", &api.reserve);
  resolve(library, path, "nas_codebook_workspace", &api.workspace);
  resolve(library, path, "nas_lookup_enqueue", &api.lookup_enqueue);
  resolve(library, path, "nas_update_enqueue", &api.update_enqueue);
  resolve(library, path, "nas_swap_enqueue", &api.swap_enqueue);
  resolve(library, path, "nas_philox4x32", &api.philox);
  return api;
}

}  // namespace selfcheck
