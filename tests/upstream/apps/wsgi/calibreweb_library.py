"""An empty Calibre library and the settings that name it, for the tests of Calibre-Web."""

from __future__ import annotations

import os

from tests.upstream.apps.wsgi import calibreweb  # noqa: F401  # makes the settings

from cps import config, db  # isort: skip
from sqlalchemy import create_engine, insert, text

directory = os.environ["CALIBRE_WEB_SETTINGS"]
engine = create_engine("sqlite://", execution_options={"schema_translate_map": {None: "calibre"}})
with engine.connect() as connection:
    connection.execute(text(f"ATTACH DATABASE '{directory}/metadata.db' AS calibre"))
    db.Base.metadata.create_all(connection)
    connection.execute(insert(db.Library_Id).values(uuid="8a1b5a1e-0000-4000-8000-000000000000"))
    connection.commit()
config.config_calibre_dir = directory
config.config_ratelimiter = False  # three logins a minute
config.save()
print("the library is made", flush=True)
os._exit(0)  # a thread of Calibre-Web waits for updates for days
