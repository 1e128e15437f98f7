// In the place of the page, where the program is built without it (-Dpage=false).
#include "serve/embedded_assets.h"

namespace spanring::serve {

std::string_view IndexPage() {
  return R"(<!doctype html>
<html lang="en">
<title>Spanring</title>
<p>This spanring was built without its page. To build it in, which takes npm:
<pre>meson configure build -Dpage=true && ninja -C build</pre>
<p>All else is here, as <a href="/api/v1/executions">/api/v1/executions</a>.
)";
}

std::span<const Asset> Assets() { return {}; }

}  // namespace spanring::serve
