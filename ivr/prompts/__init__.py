"""The words callers hear: texts (`zh-CN.yaml`) and sound files (`zh-CN/`), made ahead by `render.py`."""
